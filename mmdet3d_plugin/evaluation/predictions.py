"""Predictions on disk: one npz per sample, axes of the Occ3D labels, `<folder>/<scene>/<token>.npz`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..array_files import DAMAGED, member
from ..errors import DataError, EvaluationError
from ..structures import LabelSpace, VoxelGrid

_LABEL_KEYS = ("semantics", "arr_0", "pred")  # ours and Occ3D's, `np.savez` without a name, other code bases


@dataclass
class SavedPrediction:
    """A prediction read back from disk.

    Attributes:
        scene, token: names of the folder and of the file.
        occupancy: [Z, Y, X] uint8 label ids.
        flow: [2, Z, Y, X] float32 (v_x, v_y) in m/s, None where the file has none.
    """

    scene: str
    token: str
    occupancy: Tensor
    flow: Tensor | None = None


def write_prediction(
    folder: str | Path,
    scene: str,
    token: str,
    occupancy_zyx: Tensor | np.ndarray,
    flow: Tensor | np.ndarray | None = None,
) -> Path:
    """Save one prediction; a reader sees the whole file or none.

    On disk: `semantics` uint8 [X, Y, Z] and, with flow, `flow` float16 [X, Y, Z, 2] in m/s.

    Args:
        folder: root of the saved predictions; created where needed.
        scene: name of the scene.
        token: sample token.
        occupancy_zyx: [Z, Y, X] uint8 label ids.
        flow: [2, Z, Y, X] (v_x, v_y) in m/s.

    Returns:
        Path of the file.

    Raises:
        EvaluationError: a shape or dtype is wrong, or the file cannot be written.
    """
    labels = _numpy(occupancy_zyx)
    if labels.dtype != np.uint8 or labels.ndim != 3:
        raise EvaluationError(
            f"prediction of sample {token}",
            found=f"{labels.dtype} {labels.shape}",
            expected="uint8 [Z, Y, X]",
        )
    arrays = {"semantics": np.ascontiguousarray(labels.transpose(2, 1, 0))}
    if flow is not None:
        velocity = _numpy(flow)
        if velocity.shape != (2, *labels.shape):
            raise EvaluationError(
                f"flow of sample {token}",
                found=velocity.shape,
                expected=f"(2, Z, Y, X) = {(2, *labels.shape)}",
            )
        arrays["flow"] = np.ascontiguousarray(velocity.transpose(3, 2, 1, 0)).astype(np.float16)
    path = Path(folder) / scene / f"{token}.npz"
    temporary = path.with_name(f".{token}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
        os.replace(temporary, path)
    except OSError as error:
        raise EvaluationError(
            f"prediction of sample {token} cannot be written to {path}",
            found=error.strerror or error,
            fix="free disk space or choose another folder; files that are there already stay valid",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return path


def read_prediction(
    path: str | Path, grid: VoxelGrid | None = None, space: LabelSpace | None = None
) -> SavedPrediction:
    """Read a prediction of ours or of another code base (labels under `semantics`, `arr_0` or `pred`).

    Args:
        path: `<folder>/<scene>/<token>.npz`.
        grid: grid that the prediction must have.
        space: label space whose ids the prediction must stay in.

    Raises:
        DataError: the file is missing or not a readable npz.
        EvaluationError: the arrays are not a prediction on this grid and label space; nothing is flipped or
            cast to fit.
    """
    path = Path(path)
    token = path.stem
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: member(archive, key) for key in archive.files if key in (*_LABEL_KEYS, "flow")}
            keys = archive.files
    except FileNotFoundError as error:
        raise DataError(f"prediction file {path} does not exist") from error
    except DAMAGED as error:
        raise DataError(
            f"prediction file {path} of sample {token} cannot be read",
            found=error,
            expected="an npz archive",
            fix="delete the file and predict this sample again",
        ) from error
    key = next((name for name in _LABEL_KEYS if name in arrays), None)
    if key is None:
        raise EvaluationError(f"prediction file {path} has no labels", found=keys, expected=f"one of {_LABEL_KEYS}")
    labels = arrays[key]
    _check_labels(labels, token, grid, space)
    occupancy = torch.from_numpy(np.ascontiguousarray(labels.transpose(2, 1, 0)).astype(np.uint8))
    flow = _read_flow(arrays["flow"], labels.shape, token) if "flow" in arrays else None
    return SavedPrediction(path.parent.name, token, occupancy, flow)


def _check_labels(labels: np.ndarray, token: str, grid: VoxelGrid | None, space: LabelSpace | None) -> None:
    if labels.dtype.kind not in "iu":
        raise EvaluationError(f"labels of sample {token}", found=labels.dtype, expected="an integer type")
    if labels.ndim != 3 or (grid is not None and labels.shape != grid.shape):
        hint = None
        if grid is not None and labels.shape == grid.zyx:
            hint = "the file is in [z, y, x] order; save it in [x, y, z]"
        shape = grid.shape if grid is not None else "[X, Y, Z]"
        raise EvaluationError(f"labels of sample {token}", found=labels.shape, expected=shape, fix=hint)
    limit = space.num_classes if space is not None else 256
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= limit:
        raise EvaluationError(
            f"labels of sample {token} are out of range",
            found=low if low < 0 else high,
            expected=f"0 to {limit - 1}" + (f" ({space.name})" if space is not None else ""),
        )


def _read_flow(flow: np.ndarray, shape: tuple[int, ...], token: str) -> Tensor:
    if flow.dtype.kind != "f" or flow.shape != (*shape, 2):
        raise EvaluationError(
            f"flow of sample {token}", found=f"{flow.dtype} {flow.shape}", expected=f"floats {(*shape, 2)}"
        )
    return torch.from_numpy(np.ascontiguousarray(flow.transpose(3, 2, 1, 0)).astype(np.float32))


def _numpy(value: Tensor | np.ndarray) -> np.ndarray:
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
