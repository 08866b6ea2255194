"""Ray table, traversal against closed form, and equal bits of the implementations."""

from __future__ import annotations

import hashlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_volumes import SMALL

from mmdet3d_plugin.errors import ConfigError, EvaluationError
from mmdet3d_plugin.evaluation.ray_casting import MAX_CELLS, MAX_VOLUMES, cast_rays, lidar_rays, numba_available
from mmdet3d_plugin.structures import VoxelGrid

UNIT = VoxelGrid((0.0, 0.0, 0.0), (8.0, 6.0, 4.0), (8, 6, 4))
BACKENDS = ["torch", pytest.param("numba", marks=pytest.mark.skipif(not numba_available(), reason="needs numba"))]


def one_ray(occupied, origin, direction, grid=UNIT, **options):
    hits = cast_rays(occupied, torch.tensor([origin], dtype=torch.float64), torch.tensor([direction]), grid, **options)
    x, y, _ = grid.shape
    flat = int(hits.cell[0, 0, 0])
    return (flat % x, flat // x % y, flat // (x * y)), float(hits.distance[0, 0, 0]), bool(hits.entered[0, 0])


def empty(grid=UNIT, volumes=1):
    return torch.zeros((volumes, *grid.zyx), dtype=torch.bool)


def test_ray_table():
    rays = lidar_rays()
    assert rays.shape == (14040, 3)
    assert rays.dtype == torch.float32
    torch.testing.assert_close(rays.double().norm(dim=1), torch.ones(14040, dtype=torch.float64), atol=1e-7, rtol=0)
    assert float(rays[0, 2]) == pytest.approx(-(0.5**0.5))  # the first circle looks down by 45 degrees
    digest = hashlib.sha256(rays.numpy().tobytes()).hexdigest()
    assert digest == "51ea8101c0347a7e49b78ea9f881252812a15ebc8a20f8922e97fc6e41e989c7"
    rays += 1  # a copy: the table itself stays as it is
    assert float(lidar_rays()[0, 1]) == 0


@pytest.mark.parametrize("backend", BACKENDS)
class TestClosedForm:
    def test_hit_reports_the_exit_face(self, backend):
        occupied = empty()
        occupied[0, 1, 2, 5] = True
        assert one_ray(occupied, (0.5, 2.5, 1.5), (1.0, 0.0, 0.0), backend=backend) == ((5, 2, 1), 5.5, True)

    def test_negative_direction(self, backend):
        occupied = empty()
        occupied[0, 1, 2, 1] = True
        assert one_ray(occupied, (6.5, 2.5, 1.5), (-1.0, 0.0, 0.0), backend=backend) == ((1, 2, 1), 5.5, True)

    def test_leaving_reports_the_last_cell(self, backend):
        assert one_ray(empty(), (0.5, 2.5, 1.5), (0.0, 1.0, 0.0), backend=backend) == ((0, 5, 1), 3.5, True)

    def test_start_in_an_occupied_cell(self, backend):
        occupied = ~empty()
        assert one_ray(occupied, (3.25, 2.5, 1.5), (1.0, 0.0, 0.0), backend=backend) == ((3, 2, 1), 0.75, True)

    def test_start_outside(self, backend):
        occupied = empty()
        occupied[0, 1, 2, 0] = True
        assert one_ray(occupied, (-3.0, 2.5, 1.5), (1.0, 0.0, 0.0), backend=backend) == ((0, 2, 1), 4.0, True)

    def test_never_inside(self, backend):
        assert one_ray(~empty(), (-3.0, 2.5, 1.5), (-1.0, 0.0, 0.0), backend=backend) == ((0, 0, 0), -1.0, False)
        assert one_ray(~empty(), (-3.0, 2.5, 1.5), (0.0, 1.0, 0.0), backend=backend) == ((0, 0, 0), -1.0, False)

    def test_start_cell_truncates_or_floors(self, backend):
        origin, up = (3.5, 2.5, -0.5), (0.0, 0.0, 1.0)
        occupied = ~empty()
        assert one_ray(occupied, origin, up, start="truncate", backend=backend) == ((3, 2, 0), 1.5, True)
        occupied[0, 0] = False
        assert one_ray(occupied, origin, up, start="floor", backend=backend) == ((3, 2, 1), 2.5, True)
        down = (0.0, 0.0, -1.0)
        assert one_ray(occupied, origin, down, start="floor", backend=backend)[2] is False
        assert one_ray(occupied, origin, down, start="truncate", backend=backend)[2] is True

    def test_ties_prefer_z_then_y(self, backend):
        occupied = empty()
        occupied[0, 1, 0, 0] = True  # the z neighbour of the corner cell
        occupied[0, 0, 1, 0] = True
        diagonal = (1.0, 1.0, 1.0)
        assert one_ray(occupied, (0.0, 0.0, 0.0), diagonal, backend=backend)[0] == (0, 0, 1)
        occupied[0, 1, 0, 0] = False
        occupied[0, 1, 1, 0] = True
        assert one_ray(occupied, (0.0, 0.0, 0.0), diagonal, backend=backend)[0] == (0, 1, 1)

    def test_volumes_share_a_traversal(self, backend):
        occupied = empty(volumes=3)
        occupied[1, 1, 2, 4] = True
        occupied[2, 1, 2, 6] = True
        hits = cast_rays(
            occupied,
            torch.tensor([[0.5, 2.5, 1.5]], dtype=torch.float64),
            torch.tensor([[1.0, 0.0, 0.0]]),
            UNIT,
            backend=backend,
        )
        assert (hits.cell.flatten() % 8).tolist() == [7, 4, 6]
        assert hits.distance.flatten().tolist() == [7.5, 4.5, 6.5]

    @pytest.mark.parametrize("obstacle", [MAX_CELLS - 1, MAX_CELLS, MAX_CELLS + 150, None])
    def test_cells_are_counted_up_to_the_limit(self, backend, obstacle):
        """A ray that would have to walk further than 1001 cells ends in the last of them."""
        long = VoxelGrid((0.0, 0.0, 0.0), (1200.0, 1.0, 1.0), (1200, 1, 1))
        occupied = empty(long)
        if obstacle is not None:
            occupied[0, 0, 0, obstacle] = True
        expected = ((MAX_CELLS - 1, 0, 0), MAX_CELLS - 0.5, True)
        assert one_ray(occupied, (0.5, 0.5, 0.5), (1.0, 0.0, 0.0), long, backend=backend) == expected

    def test_cells_outside_count_too(self, backend):
        options = {"start": "floor", "backend": backend}
        last, none = (one_ray(empty(), (x, 2.5, 1.5), (1.0, 0.0, 0.0), **options) for x in (-997.5, -1000.5))
        assert last[0] == (MAX_CELLS - 1 - 998, 2, 1)
        assert none == ((0, 0, 0), -1.0, False)


@pytest.mark.skipif(not numba_available(), reason="needs numba")
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    origin=st.tuples(*[st.sampled_from([-4.8, -4.1, -4.0, -1.2, 0.0, 0.3999, 0.4, 1.0, 3.9999, 4.0, 9.0])] * 3),
    start=st.sampled_from(["truncate", "floor"]),
    precision=st.sampled_from(["double", "single"]),
    volumes=st.sampled_from([1, 2, MAX_VOLUMES]),
    count=st.sampled_from([0, 1, 63, 64, 65, 151]),  # around the number of rays that travel together
)
def test_implementations_agree_bit_for_bit(seed, origin, start, precision, volumes, count):
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    occupied = torch.rand((volumes, *SMALL.zyx), generator=generator) < 0.03
    jitter = torch.rand((1, 3), generator=generator, dtype=torch.float64) * 8 - 4
    origins = torch.cat((torch.tensor([origin], dtype=torch.float64), jitter))
    rays = torch.cat((torch.eye(3), -torch.eye(3), lidar_rays()[::97]))[:count]
    options = {"start": start, "precision": precision}
    torch_hits, numba_hits = (
        cast_rays(occupied, origins, rays, SMALL, backend=backend, **options) for backend in ("torch", "numba")
    )
    assert torch.equal(torch_hits.cell, numba_hits.cell)
    assert torch.equal(torch_hits.distance, numba_hits.distance)
    assert torch.equal(torch_hits.entered, numba_hits.entered)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_agrees_bit_for_bit():
    occupied = torch.rand((2, *SMALL.zyx), generator=torch.Generator().manual_seed(3)) < 0.03
    origins = torch.tensor([[0.1, 0.2, 0.3], [-6.0, 0.0, 0.0]], dtype=torch.float64)
    on_cpu = cast_rays(occupied, origins, lidar_rays(), SMALL, backend="torch")
    on_gpu = cast_rays(occupied.cuda(), origins, lidar_rays(), SMALL)
    assert torch.equal(on_cpu.cell, on_gpu.cell.cpu())
    assert torch.equal(on_cpu.distance, on_gpu.distance.cpu())


def test_bad_input_is_named():
    origins, rays = torch.zeros((1, 3), dtype=torch.float64), lidar_rays()[:1]
    with pytest.raises(EvaluationError, match="do not fit the grid"):
        cast_rays(empty().transpose(1, 3), origins, rays, UNIT)
    with pytest.raises(EvaluationError, match="not finite"):
        cast_rays(empty(), origins * float("nan"), rays, UNIT)
    with pytest.raises(EvaluationError, match="three columns"):
        cast_rays(empty(), origins[:, :2], rays, UNIT)
    flat = VoxelGrid((0.0, 0.0, 0.0), (8.0, 6.0, 2.0), (8, 6, 4))
    with pytest.raises(ConfigError, match="cubic"):
        cast_rays(empty(), origins, rays, flat)
