# Sourced by dist_train.sh and dist_test.sh: launch PROCESSES SCRIPT [ARGUMENTS ...] starts tools/SCRIPT in so many processes.

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python}
if [[ -z ${PYTHON:-} && -x $tools/../.venv/bin/python ]]; then
    python=$tools/../.venv/bin/python
fi

require_number() {
    if [[ ! $1 =~ ^[1-9][0-9]*$ ]]; then
        echo "error: NUM_GPUS must be a positive number" >&2
        echo "  found:    $1" >&2
        exit 2
    fi
}

launch() {
    local processes=$1 script=$tools/$2
    shift 2
    require_number "$processes"
    if ((processes == 1 && ${NNODES:-1} == 1)); then
        exec "$python" "$script" "$@"
    fi
    local where=(--standalone)
    if ((${NNODES:-1} > 1)); then
        where=(--nnodes "$NNODES" --node-rank "$NODE_RANK" --master-addr "$MASTER_ADDR" --master-port "${PORT:-29500}")
    fi
    # The level hides what DistributedDataParallel says, once per process, about the unused parameters it looks for.
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} MKL_NUM_THREADS=${MKL_NUM_THREADS:-1}
    export TORCH_CPP_LOG_LEVEL=${TORCH_CPP_LOG_LEVEL:-ERROR}
    exec "$python" -m mmdet3d_plugin.engine.launch \
        "${where[@]}" --nproc-per-node "$processes" "$script" --launcher pytorch "$@"
}

# launch_slurm PARTITION JOB PROCESSES SCRIPT [ARGUMENTS ...] does the same through srun.
launch_slurm() {
    local partition=$1 job=$2 processes=$3 script=$tools/$4 per_node=${GPUS_PER_NODE:-8}
    shift 4
    require_number "$processes"
    ((per_node > processes)) && per_node=$processes
    # shellcheck disable=SC2086  # SRUN_ARGS holds several words
    exec srun -p "$partition" --job-name "$job" --ntasks "$processes" --ntasks-per-node "$per_node" \
        --gres "gpu:$per_node" --cpus-per-task "${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
        "$python" -u "$script" --launcher slurm "$@"
}
