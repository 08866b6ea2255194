#!/usr/bin/env bash
# bash tools/dist_test.sh CONFIG CHECKPOINT NUM_GPUS [--metrics miou ray_iou] [--save [DIR]] [--cfg-options KEY=VALUE ...]
# Any number of processes gives the same numbers. On the CPU where there is no GPU.
set -euo pipefail
if (($# < 3)); then
    sed -n '2,3p' "$0" >&2
    exit 2
fi
config=$1 checkpoint=$2 processes=$3
shift 3
source "$(dirname "$0")/launch.sh"
# On the CPU the last bit of a convolution depends on the number of threads: the same for any number of processes.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(nproc)}
launch "$processes" test.py "$config" "$checkpoint" "$@"
