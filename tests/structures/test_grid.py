"""The voxel grid: indices, centres, and refusals."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdet3d_plugin.errors import ConfigError
from mmdet3d_plugin.structures import VoxelGrid

OCC3D = VoxelGrid((-40.0, -40.0, -1.0), (40.0, 40.0, 5.4), (200, 200, 16))
sizes = st.integers(1, 20)
bounds = st.tuples(st.floats(-60, 60), st.floats(0.5, 100))


@st.composite
def grids(draw) -> VoxelGrid:
    spans = [draw(bounds) for _ in range(3)]
    return VoxelGrid(
        tuple(low for low, _ in spans),
        tuple(low + length for low, length in spans),
        draw(st.tuples(*[sizes] * 3)),
    )


def test_the_occ3d_grid():
    assert OCC3D.voxel_size == pytest.approx((0.4, 0.4, 0.4))
    assert OCC3D.zyx == (16, 200, 200)
    assert OCC3D.num_voxels == 640_000
    assert not OCC3D.is_bev
    assert OCC3D.collapsed().is_bev
    assert OCC3D.collapsed().voxel_size == pytest.approx((0.4, 0.4, 6.4))
    torch.testing.assert_close(OCC3D.centers()[0, 0, 0], torch.tensor([-39.8, -39.8, -0.8]))
    torch.testing.assert_close(OCC3D.centers()[15, 0, 199], torch.tensor([39.8, -39.8, 5.2]))


@settings(deadline=None)
@given(grid=grids())
def test_a_centre_lies_in_the_middle_of_its_voxel(grid):
    index = grid.continuous_index(grid.centers(dtype=torch.float64))
    depth, height, width = grid.zyx
    z, y, x = torch.meshgrid(torch.arange(depth), torch.arange(height), torch.arange(width), indexing="ij")
    torch.testing.assert_close(index, torch.stack((x, y, z), dim=-1) + 0.5, check_dtype=False, atol=1e-6, rtol=0)


@settings(deadline=None)
@given(grid=grids(), anchor=st.sampled_from(["center", "corner"]))
def test_metric_from_index_inverts_the_continuous_index(grid, anchor):
    last = torch.tensor([n - 1.0 for n in grid.shape] + [1.0], dtype=torch.float64)
    metres = (grid.metric_from_index(anchor) @ last)[:3]
    offset = 0.5 if anchor == "center" else 0.0
    torch.testing.assert_close(grid.continuous_index(metres), last[:3] + offset, atol=1e-6, rtol=0)


@settings(deadline=None)
@given(grid=grids())
def test_the_box_is_half_open(grid):
    lower, upper = (torch.tensor(corner, dtype=torch.float64) for corner in (grid.lower, grid.upper))
    assert (grid.continuous_index(lower) == 0).all()
    torch.testing.assert_close(
        grid.continuous_index(upper), torch.tensor(grid.shape, dtype=torch.float64), atol=1e-6, rtol=0
    )


def test_config_round_trip_and_hash():
    config = {"lower": [-40.0, -40.0, -1.0], "upper": [40.0, 40.0, 5.4], "shape": [200, 200, 16]}
    assert VoxelGrid.from_config(config) == OCC3D
    assert VoxelGrid.from_config(OCC3D) is OCC3D
    assert hash(VoxelGrid.from_config(config)) == hash(OCC3D)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lower": (0.0, 0.0)}, "VoxelGrid.lower needs three values"),
        ({"upper": (40.0, -40.0, 5.4)}, "VoxelGrid is empty"),
        ({"shape": (200, 0, 16)}, "VoxelGrid is empty"),
    ],
)
def test_refuses_what_is_not_a_box(change, message):
    config = {"lower": OCC3D.lower, "upper": OCC3D.upper, "shape": OCC3D.shape}
    with pytest.raises(ConfigError, match=message):
        VoxelGrid.from_config(config | change)


def test_grids_that_differ_are_named():
    other = VoxelGrid((-50.0, -50.0, -5.0), (50.0, 50.0, 3.0), (200, 200, 16))
    OCC3D.require_match(VoxelGrid(OCC3D.lower, (40.0, 40.0, 5.4 + 1e-9), OCC3D.shape), "the model", "the labels")
    with pytest.raises(ConfigError) as error:
        OCC3D.require_match(other, "the model", "the labels")
    assert "the model" in str(error.value)
    assert "-50.0" in str(error.value)
