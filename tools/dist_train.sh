#!/usr/bin/env bash
# bash tools/dist_train.sh CONFIG WORK_DIR NUM_GPUS [--resume] [--amp] [--cfg-options KEY=VALUE ...]
# NUM_GPUS processes on this machine, on the CPU where there is no GPU. Several machines: set NNODES, NODE_RANK, MASTER_ADDR, PORT.
set -euo pipefail
if (($# < 3)); then
    sed -n '2,3p' "$0" >&2
    exit 2
fi
config=$1 work_dir=$2 processes=$3
shift 3
source "$(dirname "$0")/launch.sh"
launch "$processes" train.py "$config" --work-dir "$work_dir" "$@"
