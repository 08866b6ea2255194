#!/usr/bin/env bash
# bash tools/slurm_test_ray.sh PARTITION JOB_NAME CONFIG CHECKPOINT NUM_GPUS [--save [DIR]] ...
# slurm_test.sh with RayIoU instead of the metrics of the config.
set -euo pipefail
if (($# < 5)); then
    sed -n '2,3p' "$0" >&2
    exit 2
fi
partition=$1 job=$2 config=$3 checkpoint=$4 processes=$5
shift 5
exec bash "$(dirname "$0")/slurm_test.sh" "$partition" "$job" "$config" "$checkpoint" "$processes" --metrics ray_iou "$@"
