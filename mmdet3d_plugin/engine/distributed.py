"""Processes: start-up on CPU and CUDA, the model wrapper, and the few collectives that the engine uses."""

from __future__ import annotations

import ctypes
import inspect
import os
import signal
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from mmengine.model import MMDistributedDataParallel
from torch import distributed, nn

from ..errors import ConfigError

if TYPE_CHECKING:
    from ..models.occupancy_model import OccupancyModel

Launcher = Literal["none", "pytorch", "slurm"]


def local_device() -> torch.device:
    """The device of this process: the CUDA device of its local rank, else the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))


def _read_slurm() -> None:
    """Translate the variables of `srun` into those of torchrun."""
    environ = os.environ
    try:
        nodes, rank, size = environ["SLURM_NODELIST"], environ["SLURM_PROCID"], environ["SLURM_NTASKS"]
    except KeyError as missing:
        raise ConfigError(
            f"--launcher slurm needs the variable {missing}", fix="start with tools/slurm_train.sh or srun"
        ) from None
    if "MASTER_ADDR" not in environ:
        hosts = subprocess.run(["scontrol", "show", "hostname", nodes], capture_output=True, text=True, check=True)
        environ["MASTER_ADDR"] = hosts.stdout.split()[0]
    environ.setdefault("MASTER_PORT", "29500")
    environ.update(RANK=rank, WORLD_SIZE=size, LOCAL_RANK=environ.get("SLURM_LOCALID", "0"))


def _end_with_parent() -> None:
    """Ask Linux to end this process when torchrun is killed: an orphan would go on writing checkpoints."""
    if sys.platform == "linux":
        set_parent_death_signal = 1  # PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def init_processes(launcher: Launcher, timeout_minutes: float = 60.0) -> None:
    """Join the process group, with NCCL where there is CUDA and gloo elsewhere.

    Must run before the Runner is built: the launcher of mmengine selects a CUDA device also where there is
    none.
    """
    if launcher == "none" or distributed.is_initialized():
        return
    if launcher == "slurm":
        _read_slurm()
    elif "RANK" not in os.environ:
        raise ConfigError("--launcher pytorch needs torchrun", fix="start with tools/dist_train.sh or dist_test.sh")
    else:
        _end_with_parent()
    device = local_device()
    if device.type == "cuda":
        local_size = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
        if max(local_size, (device.index or 0) + 1) > torch.cuda.device_count():
            raise ConfigError(
                "more processes than CUDA devices on this machine",
                found=f"{local_size} processes",
                expected=f"at most {torch.cuda.device_count()}",
                fix="lower NUM_GPUS, or hide the devices (CUDA_VISIBLE_DEVICES='') to run on the CPU",
            )
        torch.cuda.set_device(device)
    on_cuda = device.type == "cuda"
    distributed.init_process_group(
        backend="nccl" if on_cuda else "gloo",
        timeout=timedelta(minutes=timeout_minutes),
        device_id=device if on_cuda else None,
    )


def leave_processes() -> None:
    """Leave the process group, if there is one, together: a process whose peers have gone can abort in its exit."""
    if distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()


def rank() -> int:
    """Number of this process, 0 without a process group."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world_size() -> int:
    """Number of processes, 1 without a process group."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def barrier() -> None:
    """Wait for all processes."""
    if distributed.is_initialized():
        distributed.barrier()


def all_gather(value: Any) -> list[Any]:
    """Small picklable values of all processes, in the order of their ranks."""
    if world_size() == 1:
        return [value]
    gathered: list[Any] = [None] * world_size()
    distributed.all_gather_object(gathered, value)
    return gathered


def broadcast_tensors(module: nn.Module) -> None:
    """Give all processes the parameters and buffers of rank 0."""
    if world_size() == 1:
        return
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            distributed.broadcast(tensor.detach(), src=0)


# PyTorch 2.13 renames the option that copies the buffers of rank 0 to all processes before every forward
# pass.
_SYNC_BUFFERS = (
    "forward_sync_buffers"
    if "forward_sync_buffers" in inspect.signature(nn.parallel.DistributedDataParallel.__init__).parameters
    else "broadcast_buffers"
)


class StreamingDataParallel(MMDistributedDataParallel):
    """Data parallel training on CUDA and on CPU.

    On CPU `device_ids` must be None. Unused parameters are searched for there, because that also stops
    PyTorch from re-ordering its gradient buckets after the first step: a resumed run then adds gradients in
    the same order as one that was never stopped, and its losses are bit-equal.
    """

    def __init__(self, module: nn.Module, find_unused_parameters: bool = False):
        device = local_device()
        on_cuda = device.type == "cuda"
        super().__init__(
            module=module,
            device_ids=[device.index] if on_cuda else None,
            find_unused_parameters=find_unused_parameters or not on_cuda,
            **{_SYNC_BUFFERS: False},
        )


def unwrapped(model: nn.Module) -> OccupancyModel:
    """The model inside of its data-parallel wrapper."""
    return cast("OccupancyModel", model.module if isinstance(model, StreamingDataParallel) else model)
