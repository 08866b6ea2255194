#!/usr/bin/env bash
# bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT NUM_GPUS [--metrics miou ray_iou] [--save [DIR]] ...
# One process per GPU. GPUS_PER_NODE (8), CPUS_PER_TASK (5) and SRUN_ARGS come from the environment.
set -euo pipefail
if (($# < 5)); then
    sed -n '2,3p' "$0" >&2
    exit 2
fi
partition=$1 job=$2 config=$3 checkpoint=$4 processes=$5
shift 5
source "$(dirname "$0")/launch.sh"
launch_slurm "$partition" "$job" "$processes" test.py "$config" "$checkpoint" "$@"
