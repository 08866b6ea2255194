"""The Triton ray caster against the reference. `test_ray_casting_triton.py` runs this in a process of its own."""

from __future__ import annotations

import os

import pytest
import torch
from metric_volumes import SMALL

from mmdet3d_plugin.evaluation.ray_casting import MAX_VOLUMES, cast_rays, lidar_rays
from mmdet3d_plugin.structures import VoxelGrid

DEVICE = os.environ["OCCSTUDIO_KERNEL_DEVICE"]
ORIGINS = [[0.1, 0.2, 0.1], [-6.0, 0.0, 0.0], [3.9999, -1.2, 0.4], [0.4, 0.4, -1.2], [0.0, 9.0, 0.0]]


@pytest.mark.parametrize(
    ("volumes", "start", "precision"),
    [(1, "floor", "double"), (3, "truncate", "single"), (MAX_VOLUMES, "truncate", "double")],
)
def test_bits_of_the_reference(volumes, start, precision):
    occupied = torch.rand((volumes, *SMALL.zyx), generator=torch.Generator().manual_seed(volumes)) < 0.03
    origins = torch.tensor(ORIGINS, dtype=torch.float64)
    rays = torch.cat((lidar_rays()[::200], torch.eye(3), -torch.eye(3), torch.ones(1, 3)))
    options = {"start": start, "precision": precision}
    expected = cast_rays(occupied, origins, rays, SMALL, backend="torch", **options)
    found = cast_rays(occupied.to(DEVICE), origins, rays, SMALL, backend="triton", **options)
    for name in ("cell", "distance", "entered"):
        ours, theirs = getattr(found, name).cpu(), getattr(expected, name)
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs), name
    assert expected.entered.any()
    assert not expected.entered.all()


def test_cells_are_counted_up_to_the_limit():
    """A ray that would have to walk 1200 cells to its obstacle ends after 1001."""
    long = VoxelGrid((0.0, 0.0, 0.0), (1200.0, 1.0, 1.0), (1200, 1, 1))
    occupied = torch.zeros((1, *long.zyx), dtype=torch.bool)
    occupied[0, 0, 0, 1150] = True
    origin, ray = torch.tensor([[0.5, 0.5, 0.5]], dtype=torch.float64), torch.tensor([[1.0, 0.0, 0.0]])
    hits = [cast_rays(occupied.to(d), origin, ray, long, backend=b) for d, b in (("cpu", "torch"), (DEVICE, "triton"))]
    assert hits[0].cell.item() == hits[1].cell.item() == 1000


def test_no_ray():
    hits = cast_rays(torch.zeros((2, *SMALL.zyx), dtype=torch.bool, device=DEVICE), torch.zeros(0, 3).double(),
                     lidar_rays(), SMALL, backend="triton")  # fmt: skip
    assert hits.cell.shape == (2, 0, 14040)
