"""Voxel labels, flow and masks over time and between grids (spec/data/synthetic section 9, items 5, 6, 8 and 10)."""

from __future__ import annotations

import numpy as np
import pytest

from mmdet3d_plugin.datasets.synthetic.catalog import OCC3D_FROM_LIDARSEG, OPENOCC_FROM_OCC3D
from mmdet3d_plugin.datasets.synthetic.keyframe import SURROUNDOCC_GRID
from mmdet3d_plugin.datasets.synthetic.labels import VoxelLabels, ray_mask
from mmdet3d_plugin.datasets.synthetic.scene import World
from mmdet3d_plugin.datasets.synthetic.sensors import rigid, rotation_z
from mmdet3d_plugin.structures import VoxelGrid

from .conftest import OCC3D, Written, apply, voxel_of

SPHERE_GRID = VoxelGrid((0.0, 0.0, 0.0), (10.0, 10.0, 5.0), (10, 10, 5))


@pytest.fixture(scope="module")
def pair() -> tuple[World, VoxelLabels, VoxelLabels]:
    """A world and its labels at 0 and 0.5 s; the ego vehicle moves 4 m and turns by 3 degrees in between."""
    world = World(0, "scene-0061", 1.5, 0.1)
    later = world.ego_pose(0.0) @ rigid(rotation_z(np.radians(3.0)), np.array([4.0, 0.0, 0.0]))
    return world, world.voxelise(0.0, world.ego_pose(0.0), OCC3D), world.voxelise(0.5, later, OCC3D)


def centres(grid: VoxelGrid) -> np.ndarray:
    """[X, Y, Z, 3] metres."""
    return grid.centers().permute(2, 1, 0, 3).double().numpy()


def warped_agreement(pair, previous_from_current: np.ndarray) -> tuple[float, float, float]:
    """Geometric IoU of all and of above-ground static voxels, and class agreement, of t-1 warped to t."""
    world, before, after = pair
    moving = np.array([False, *(o.track.moves for o in world.objects)])
    points = centres(OCC3D).reshape(-1, 3)
    voxel, inside = voxel_of(apply(previous_from_current, points), OCC3D)
    source = tuple(voxel[inside].T)
    old, new = before.class_id[source], after.class_id.reshape(-1)[inside]
    still = ~moving[before.instance[source]] & ~moving[after.instance.reshape(-1)[inside]]
    above = points[inside, 2] > 0.3
    old, new, above = old[still], new[still], above[still]

    def iou(keep: np.ndarray) -> float:
        a, b = old[keep] != 255, new[keep] != 255
        return float((a & b).sum() / (a | b).sum())

    both = (old != 255) & (new != 255)
    return iou(np.ones(len(old), bool)), iou(above), float((old == new)[both].mean())


MOTION = rigid(rotation_z(np.radians(3.0)), np.array([4.0, 0.0, 0.0]))


def test_static_voxels_move_with_the_ego_vehicle(pair):
    everything, above_ground, classes = warped_agreement(pair, MOTION)
    assert everything >= 0.90
    assert above_ground >= 0.65
    assert classes >= 0.98


@pytest.mark.parametrize(
    "wrong",
    [
        np.eye(4),
        np.linalg.inv(MOTION),
        MOTION @ rigid(np.eye(3), np.array([0.35, 0.0, 0.0])),
        rigid(rotation_z(np.radians(3.0)), np.array([0.0, 4.0, 0.0])),
    ],
    ids=["not warped", "inverse", "35 ms at 10 m/s", "axes confused"],
)
def test_the_warp_test_notices(pair, wrong: np.ndarray):
    everything, above_ground, _ = warped_agreement(pair, wrong)
    assert everything < 0.90
    assert above_ground < 0.65


def carried_along(written: Written, gain: float) -> float:
    """Share of moving voxels that land on the same instance 0.5 s later when displaced by `gain` * flow * time."""
    landed = []
    for frame in range(len(written.index) - 1):
        if written.index.scene[frame] != written.index.scene[frame + 1]:
            continue
        world, time = written.world(frame), written.time(frame)
        pose, later = world.ego_pose(time), world.ego_pose(time + 0.5)
        labels, next_labels = world.voxelise(time, pose, OCC3D), world.voxelise(time + 0.5, later, OCC3D)
        moving = np.hypot(*np.moveaxis(labels.flow, -1, 0)) > 2.0
        points = centres(OCC3D)[moving]
        points[:, :2] += gain * 0.5 * labels.flow[moving]
        voxel, inside = voxel_of(apply(np.linalg.inv(later) @ pose, points), OCC3D)
        grown = _grow(next_labels.instance, tuple(voxel[inside].T))
        landed.append((grown == labels.instance[moving][inside][:, None]).any(1))
    landed = np.concatenate(landed)
    assert len(landed) > 1000
    return float(landed.mean())


def _grow(instance: np.ndarray, at: tuple[np.ndarray, ...]) -> np.ndarray:
    """Instances in the 3 x 3 columns around voxels: [N, 9]; shells of a turning object are a voxel off."""
    x, y, z = at
    near = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
    return np.stack([instance[np.clip(x + a, 0, 199), np.clip(y + b, 0, 199), z] for a, b in near], 1)


def test_flow_carries_voxels_to_the_same_instance(written: Written):
    assert carried_along(written, 1.0) >= 0.80
    assert carried_along(written, 0.0) < 0.60
    assert carried_along(written, -1.0) < 0.60


def test_written_flow_is_the_velocity_in_ego_axes(written: Written):
    for frame in (0, 5):
        scene, token = written.index.scene_names[written.index.scene[frame]], written.index.token[frame]
        with np.load(written.root / "openocc_v2" / scene / token / "labels.npz") as file:
            semantics, flow, instances = file["semantics"], file["flow"], file["instances"]
        assert semantics.dtype == np.int32
        assert flow.dtype == np.float32
        assert instances.dtype == np.uint8
        np.testing.assert_array_equal(semantics, OPENOCC_FROM_OCC3D[written.occ3d(frame)["semantics"]])
        assert not flow[semantics >= 8].any()
        world, time = written.world(frame), written.time(frame)
        velocity = world.object_velocities(time) @ world.ego_pose(time)[:2, :2]
        labels = world.voxelise(time, world.ego_pose(time), OCC3D)
        owned = (semantics < 8) & (labels.instance > 0)
        np.testing.assert_allclose(flow[owned], velocity[labels.instance[owned] - 1], atol=1e-5)
        parked = np.isin(labels.instance, [k + 1 for k, o in enumerate(world.objects) if not o.track.moves])
        assert parked.any()
        assert not flow[parked].any()  # although the ego vehicle drives


def test_masks_are_nested_and_stop_at_the_first_surface(written: Written):
    for frame in range(0, len(written.index), 5):
        labels = written.occ3d(frame)
        camera, lidar = labels["mask_camera"].astype(bool), labels["mask_lidar"].astype(bool)
        assert not (camera & ~lidar).any()
        assert 0.2 < camera.mean() < 0.8
        occupied = labels["semantics"] != 17
        assert 0.05 < camera[occupied].mean() < 0.6
        below = np.cumsum(occupied[..., ::-1], axis=2)[..., ::-1] > 1  # two surfaces above one another
        assert not camera[..., 0].any()
        assert camera[below].mean() < camera[~below].mean()


def test_the_hidden_side_of_a_wall_is_not_seen():
    occupied = np.zeros(SPHERE_GRID.shape, bool)
    occupied[5, :, :] = True
    rng = np.random.default_rng(0)
    origin = np.array([[1.5, 5.5, 2.5]])
    seen = ray_mask(occupied, SPHERE_GRID, origin, rng.normal(size=(20000, 3)))
    assert seen[:6].all()  # everything on this side, and the wall itself
    assert not seen[6:].any()
    occupied[5, 5, 2] = False  # a hole lets a cone through, and nothing else
    through = ray_mask(occupied, SPHERE_GRID, origin, rng.normal(size=(20000, 3)))
    assert through[6, 5, 2]
    assert not through[6, 0, :].any()


def test_marked_voxels_match_a_dense_march():
    """Against a brute-force march of the same rays in steps of a thousandth of a voxel."""
    rng = np.random.default_rng(1)
    occupied = rng.random(SPHERE_GRID.shape) < 0.05
    for origin in ([5.2, 4.7, 2.3], [-3.0, 5.0, 9.0]):
        for ray in rng.normal((0.2, 0.0, -0.1), size=(20, 3)):
            seen = ray_mask(occupied, SPHERE_GRID, np.array([origin]), ray[None])
            points = origin + np.linspace(0, 30, 30000)[:, None] * ray / np.linalg.norm(ray)
            voxel, inside = voxel_of(points, SPHERE_GRID)
            voxel = voxel[inside]
            blocked = np.flatnonzero(occupied[tuple(voxel.T)])
            if len(blocked):
                voxel = voxel[: blocked[0] + 1]
            expected = np.zeros_like(occupied)
            expected[tuple(voxel.T)] = True
            assert not (expected & ~seen).any()
            assert (seen & ~expected).sum() <= 1  # a corner that the steps jump over


def test_a_ray_parallel_to_the_axes_marks_its_row():
    free = np.zeros(SPHERE_GRID.shape, bool)
    seen = ray_mask(free, SPHERE_GRID, np.array([[-2.0, 3.5, 1.5]]), np.array([[1.0, 0.0, 0.0]]))
    assert seen[:, 3, 1].all()
    assert seen.sum() == 10
    miss = ray_mask(free, SPHERE_GRID, np.array([[-2.0, 13.5, 1.5]]), np.array([[1.0, 0.0, 0.0]]))
    assert not miss.any()


def surround_agreement(written: Written, frame: int, ego_from_lidar: np.ndarray) -> float:
    """Share of SurroundOcc rows (lidar frame, 0.5 m) whose class is in the Occ3D labels (ego frame, 0.4 m) nearby."""
    name = written.root / "gts_surroundocc" / written.index.lidar_file[frame].replace("LIDAR_TOP/", "")
    rows = np.load(str(name) + ".npy")
    assert rows.dtype == np.int64
    assert rows.shape[1] == 4
    assert len(np.unique(rows[:, :3], axis=0)) == len(rows)
    points = np.array(SURROUNDOCC_GRID.lower) + (rows[:, :3] + 0.5) * SURROUNDOCC_GRID.voxel_size
    points = apply(ego_from_lidar, points)
    semantics = np.pad(written.occ3d(frame)["semantics"], 1, constant_values=17)
    voxel, inside = voxel_of(points, OCC3D)
    near = [(a, b, c) for a in range(3) for b in range(3) for c in range(3)]
    around = np.stack([semantics[tuple((voxel[inside] + offset).T)] for offset in near], 1)
    return float((around == rows[inside, 3:]).any(1).mean())


def test_surroundocc_and_occ3d_show_the_same_scene(written: Written):
    mount = written.index.ego_from_lidar[0]
    assert surround_agreement(written, 0, mount) >= 0.97
    turned = mount.copy()
    turned[:3, :3] = np.eye(3)  # the lidar looks along y, the vehicle along x
    assert surround_agreement(written, 0, turned) < 0.85


def test_lidar_and_labels_agree_on_every_class_of_the_scene(written: Written):
    """No class exists in one representation only: same table, no shifted ids."""
    for frame in range(0, len(written.index), 4):
        voxels = set(np.unique(written.occ3d(frame)["semantics"]))
        hits = np.bincount(OCC3D_FROM_LIDARSEG[written.point_classes(frame)], minlength=17)
        assert {k for k in range(17) if hits[k] > 50} <= voxels
