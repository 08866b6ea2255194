#!/usr/bin/env bash
# bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR NUM_GPUS [--resume] [--amp] [--cfg-options KEY=VALUE ...]
# One process per GPU. GPUS_PER_NODE (8), CPUS_PER_TASK (5) and SRUN_ARGS come from the environment.
set -euo pipefail
if (($# < 5)); then
    sed -n '2,3p' "$0" >&2
    exit 2
fi
partition=$1 job=$2 config=$3 work_dir=$4 processes=$5
shift 5
source "$(dirname "$0")/launch.sh"
launch_slurm "$partition" "$job" "$processes" train.py "$config" --work-dir "$work_dir" "$@"
