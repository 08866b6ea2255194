#!/usr/bin/env bash
# bash tools/dist_test_ray.sh CONFIG CHECKPOINT NUM_GPUS [--save [DIR]] [--cfg-options KEY=VALUE ...]
# dist_test.sh with RayIoU instead of the metrics of the config.
set -euo pipefail
if (($# < 3)); then
    sed -n '2,3p' "$0" >&2
    exit 2
fi
config=$1 checkpoint=$2 processes=$3
shift 3
exec bash "$(dirname "$0")/dist_test.sh" "$config" "$checkpoint" "$processes" --metrics ray_iou "$@"
