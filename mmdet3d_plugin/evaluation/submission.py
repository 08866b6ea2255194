"""Submissions to the OpenOcc challenge: what the rays of every sample meet (spec/data/formats 10).

A file is a gzip-compressed pickle `{method, team, authors, e-mail, institution / company, country / region,
results: {token: {pcd_cls, pcd_dist, pcd_flow}}}`.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import EvaluationError
from ..structures import OPENOCC, VoxelGrid
from .ray_casting import cast_rays, lidar_rays
from .submission_files import ascending, check_tokens, replaced
from .submission_pickle import Items, dump, load

SubmittedRays = dict[str, np.ndarray]
_DTYPES = {"pcd_cls": ("uint8", "int8"), "pcd_dist": ("float16",), "pcd_flow": ("float16",)}


@dataclass(frozen=True)
class Entrant:
    """Who submits which method, as the challenge lists it; what is not known is empty."""

    method: str = ""
    team: str = ""
    authors: tuple[str, ...] = ()
    email: str = ""
    institution: str = ""
    country: str = ""

    def header(self) -> dict[str, str | list[str]]:
        """The fields by their names in the file."""
        return {
            "method": self.method,
            "team": self.team,
            "authors": list(self.authors),
            "e-mail": self.email,
            "institution / company": self.institution,
            "country / region": self.country,
        }


def submitted_rays(token: str, occupancy: Tensor, flow: Tensor, origins: Tensor, grid: VoxelGrid) -> SubmittedRays:
    """What the evaluation rays meet in one prediction, prepared as `challenge_counts` does (spec/metrics 5.3, 6).

    Args:
        token: sample token, for messages.
        occupancy: [Z, Y, X] uint8 OpenOcc label ids.
        flow: [2, Z, Y, X] velocity (v_x, v_y) in m/s.
        origins: [K, 3] metres, frame of the grid.
        grid: grid of both volumes.

    Returns:
        "pcd_cls" uint8 [N] labels, "pcd_dist" float16 [N] metres from the origin to where the ray leaves its end
        cell, "pcd_flow" float16 [N, 2] velocity there; N = K x 14040, origin-major, pitch-major within.

    Raises:
        EvaluationError: a shape does not fit, a label is out of range, or a value that a ray meets is not finite.
    """
    for name, volume, shape in (("labels", occupancy, grid.zyx), ("flow", flow, (2, *grid.zyx))):
        if tuple(volume.shape) != shape:
            raise EvaluationError(f"{name} of sample {token}", found=tuple(volume.shape), expected=shape)
    hits = cast_rays((occupancy != OPENOCC.free)[None], origins, lidar_rays(), grid, precision="single")
    velocity = torch.stack([hits.gather(component, 0) for component in flow], dim=-1)
    rays = {
        "pcd_cls": hits.gather(occupancy, 0).reshape(-1).cpu().numpy(),
        "pcd_dist": hits.distance[0].half().reshape(-1).cpu().numpy(),
        "pcd_flow": velocity.half().reshape(-1, 2).cpu().numpy(),
    }
    check_rays(token, rays, len(origins))
    return rays


def write_openocc(path: str | Path, entrant: Entrant, frames: Iterable[tuple[str, SubmittedRays]]) -> None:
    """Write a submission; a reader sees the whole file or none, and equal input gives equal bytes.

    Frames are taken one at a time, and none is kept.

    Args:
        path: file to write; ends in .gz by custom.
        entrant: head of the file.
        frames: sample tokens in ascending order, each with what :func:`submitted_rays` returns.

    Raises:
        EvaluationError: a sample comes twice or out of order, or the file cannot be written.
    """
    with (
        replaced(Path(path)) as stream,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=stream, mtime=0) as packed,
    ):
        dump({**entrant.header(), "results": Items(ascending(frames))}, packed)


def check_openocc(path: str | Path, num_origins: Mapping[str, int]) -> None:
    """Require a submission that the challenge can score; complains of one thing at a time.

    Args:
        path: the file.
        num_origins: number of ray origins of every expected sample, by token.

    Raises:
        DataError: the file cannot be read, see `submission_pickle.load`.
        EvaluationError: a field of the head or a sample is missing, a sample is unknown, or its rays are wrong, see
            :func:`check_rays`.
    """
    content = load(path)
    expected: dict[str, object] = {**Entrant().header(), "results": {}}
    for field, example in expected.items():
        if type(content.get(field)) is not type(example):
            raise EvaluationError(
                f"submission {path}: field {field!r}",
                found=type(content[field]).__name__ if field in content else f"only {', '.join(map(repr, content))}",
                expected=type(example).__name__,
                fix="write it with `occstudio submit`, or add the field",
            )
    check_tokens(f"submission {path}", content["results"], num_origins)
    for token, count in num_origins.items():
        check_rays(token, content["results"][token], count)


def check_rays(token: str, rays: Mapping[str, np.ndarray], num_origins: int) -> None:
    """Require the rays of one sample as :func:`submitted_rays` describes them; labels may also be int8.

    Raises:
        EvaluationError: a field is missing, a dtype or length is wrong, a label is out of range, or a distance or
            velocity is not finite; names the sample and the ray.
    """
    per_origin = len(lidar_rays())
    for name, dtypes in _DTYPES.items():
        what = f"{name} of sample {token}"
        if not isinstance(rays, dict) or name not in rays:
            found = ", ".join(map(repr, rays)) if isinstance(rays, dict) else type(rays).__name__
            raise EvaluationError(f"{what} is missing", found=found, expected=", ".join(map(repr, _DTYPES)))
        array = rays[name]
        kind = array.dtype.name if isinstance(array, np.ndarray) else type(array).__name__
        if kind not in dtypes:
            fix = "cast it; a list or a tensor becomes an array by numpy.asarray"
            raise EvaluationError(what, found=kind, expected=f"array of {' or '.join(dtypes)}", fix=fix)
        shape = (num_origins * per_origin, *((2,) if name == "pcd_flow" else ()))
        if array.shape != shape:
            raise EvaluationError(
                what,
                found=array.shape,
                expected=f"{shape}: {per_origin} rays from each of {num_origins} origins",
                fix="cast the rays from `KeyFrameIndex.ray_origins` of this version of the data set",
            )
        labels = name == "pcd_cls"
        valid = (array >= 0) & (array < OPENOCC.num_classes) if labels else np.isfinite(array)
        if not valid.all():
            at = tuple(int(i) for i in np.argwhere(~valid)[0])
            origin, ray = divmod(at[0], per_origin)
            raise EvaluationError(
                f"{what} is {'out of range' if labels else 'not finite'} at ray {ray} of origin {origin}",
                found=array[at],
                expected=f"0 to {OPENOCC.num_classes - 1} (OpenOcc)" if labels else "a finite float16",
                fix="predict this sample again",
            )
