from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmdet3d_plugin.datasets.labels import (
    KeyFrameName,
    Occ3DLabels,
    Occ3DWaymoLabels,
    OpenOccLabels,
    OpenOccupancyLabels,
    SurroundOccLabels,
)
from mmdet3d_plugin.datasets.labels.lidarseg import point_class_table
from mmdet3d_plugin.errors import ConfigError, DataError
from mmdet3d_plugin.structures import OCC3D_NUSCENES, OPENOCC, VoxelGrid

NAME = KeyFrameName("scene-0061", "scenetoken", "token", "samples/LIDAR_TOP/n015__LIDAR_TOP__1.pcd.bin", "lidartoken")
SHAPE = (200, 200, 16)


def save_npz(path: Path, **arrays: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)


def save_rows(path: Path, rows: list, dtype=np.int64) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.array(rows, dtype=dtype))


def test_occ3d_axes_masks_and_training(tmp_path):
    labels = Occ3DLabels(Occ3DLabels.native_grid)
    semantics, seen = np.full(SHAPE, 17, np.uint8), np.ones(SHAPE, np.uint8)
    semantics[1, 2, 3], semantics[4, 5, 6], seen[4, 5, 6] = 4, 7, 0
    (path,) = labels.paths(tmp_path, NAME)
    assert path == tmp_path / "gts/scene-0061/token/labels.npz"
    save_npz(path, semantics=semantics, mask_camera=seen, mask_lidar=np.ones_like(seen))
    scored = labels.load(tmp_path, NAME, training=False)
    assert scored.occupancy[3, 2, 1] == 4
    assert scored.occupancy[6, 5, 4] == 7
    assert not scored.mask_camera[6, 5, 4]
    assert scored.mask_lidar.all()
    trained = labels.load(tmp_path, NAME, training=True)
    assert trained.occupancy[6, 5, 4] == 255
    assert trained.occupancy[3, 2, 1] == 4
    assert trained.mask_camera is None


def test_openocc_flow_belongs_to_moving_classes_that_a_ray_reaches(tmp_path):
    labels = OpenOccLabels(OpenOccLabels.native_grid)
    semantics, flow = np.full(SHAPE, 16, np.int32), np.zeros((*SHAPE, 2), np.float32)
    reached = np.ones(SHAPE, bool)
    semantics[1, 2, 3], flow[1, 2, 3] = 0, (5.0, -2.0)  # car
    semantics[4, 2, 3], flow[4, 2, 3], reached[4, 2, 3] = 0, (1.0, 1.0), False
    semantics[7, 2, 3], flow[7, 2, 3] = 10, (9.0, 9.0)  # driveable surface
    path, mask_path = labels.paths(tmp_path, NAME)
    save_npz(path, semantics=semantics, flow=flow)
    save_npz(mask_path, ray_mask2=reached)
    trained = labels.load(tmp_path, NAME, training=True)
    assert trained.occupancy.dtype == np.uint8
    assert trained.occupancy[3, 2, 4] == 255
    np.testing.assert_array_equal(trained.flow[:, 3, 2, 1], [5, -2])  # (v_x, v_y)
    assert np.isfinite(trained.flow).sum() == 2
    scored = labels.load(tmp_path, NAME, training=False)
    assert scored.occupancy[3, 2, 4] == 0
    assert np.isfinite(scored.flow).sum() == 4


@pytest.mark.parametrize(("noise", "expected"), [("ignore", 255), ("free", 17)])
def test_surroundocc_rows_are_xyz(tmp_path, noise, expected):
    labels = SurroundOccLabels(SurroundOccLabels.native_grid, noise=noise)
    (path,) = labels.paths(tmp_path, NAME)
    assert path.name == "n015__LIDAR_TOP__1.pcd.bin.npy"
    save_rows(path, [[1, 2, 3, 4], [4, 5, 6, 0]])
    occupancy = labels.load(tmp_path, NAME, training=True).occupancy
    assert occupancy.shape == (16, 200, 200)
    assert (occupancy[3, 2, 1], occupancy[6, 5, 4], occupancy[0, 0, 0]) == (4, expected, 17)
    assert labels.frame == "lidar"


def test_openoccupancy_rows_are_zyx_with_the_label_last(tmp_path):
    labels = OpenOccupancyLabels(OpenOccupancyLabels.native_grid)
    (path,) = labels.paths(tmp_path, NAME)
    assert path == tmp_path / "nuScenes-Occupancy-v0.1/scene_scenetoken/occupancy/lidartoken.npy"
    save_rows(path, [[3, 2, 1, 9, 9, 9, 4]], np.int16)
    occupancy = labels.load(tmp_path, NAME, training=True).occupancy
    assert occupancy.shape == (40, 512, 512)
    assert np.argwhere(occupancy == 4).tolist() == [[3, 2, 1]]


@pytest.mark.parametrize("columns", [4, 7])
def test_openoccupancy_voxels_with_several_rows_vote(tmp_path, columns):
    """Most frequent label, lowest id on ties; noise loses ties (spec/metrics section 1)."""
    labels = OpenOccupancyLabels(OpenOccupancyLabels.native_grid)
    (path,) = labels.paths(tmp_path, NAME)
    votes = {
        (1, 0, 0): ([4, 4, 7], 4),
        (2, 0, 0): ([7, 4, 4], 4),
        (3, 0, 0): ([9, 4], 4),
        (4, 0, 0): ([2, 9, 9, 2], 2),
        (5, 0, 0): ([0, 16], 16),
        (6, 0, 0): ([16, 0, 0], 255),
        (7, 0, 0): ([5, 5], 5),
    }
    middle = [0.25] * (columns - 4)
    rows = [[z, y, x, *middle, label] for (x, y, z), (found, _) in votes.items() for label in found]
    save_rows(path, np.random.default_rng(0).permutation(rows), np.float32 if middle else np.int64)
    occupancy = labels.load(tmp_path, NAME, training=True).occupancy
    assert {voxel: occupancy[voxel[::-1]] for voxel in votes} == {v: wins for v, (_, wins) in votes.items()}
    assert (occupancy != 17).sum() == len(votes)


def test_surroundocc_takes_the_last_row_of_a_voxel(tmp_path):
    """As its authors' evaluation does (spec/metrics section 3.1)."""
    labels = SurroundOccLabels(SurroundOccLabels.native_grid)
    (path,) = labels.paths(tmp_path, NAME)
    save_rows(path, [[1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 9]])
    assert labels.load(tmp_path, NAME, training=True).occupancy[3, 2, 1] == 9


def test_published_motion_is_the_ego_motion():
    grid = SurroundOccLabels.native_grid
    assert SurroundOccLabels(grid).motion_frame == "lidar"
    assert SurroundOccLabels(grid, motion_frame="ego").motion_frame == "ego"


def test_a_grid_of_other_labels_is_refused():
    with pytest.raises(ConfigError, match=r"does not match the grid of the Occ3D-nuScenes labels"):
        Occ3DLabels(SurroundOccLabels.native_grid)
    with pytest.raises(ConfigError, match="does not match"):
        SurroundOccLabels({"lower": (-40, -40, -1), "upper": (40, 40, 5.4), "shape": (200, 200, 16)})


def test_unknown_choices_are_refused():
    with pytest.raises(ConfigError, match=r"Occ3DLabels.mask cannot be 'lidar'"):
        Occ3DLabels(Occ3DLabels.native_grid, mask="lidar")


def test_arrays_off_the_grid_and_unknown_ids_are_refused(tmp_path):
    labels = Occ3DLabels(Occ3DLabels.native_grid)
    (path,) = labels.paths(tmp_path, NAME)
    small = np.zeros((100, 100, 16), np.uint8)
    save_npz(path, semantics=small, mask_camera=small, mask_lidar=small)
    with pytest.raises(DataError, match="not on the grid"):
        labels.load(tmp_path, NAME, training=True)
    full = np.full(SHAPE, 23, np.uint8)
    save_npz(path, semantics=full, mask_camera=full, mask_lidar=full)
    with pytest.raises(DataError, match=r"(?s)a label that Occ3D-nuScenes does not have.*23"):
        labels.load(tmp_path, NAME, training=True)
    surround = SurroundOccLabels(SurroundOccLabels.native_grid)
    (path,) = surround.paths(tmp_path, NAME)
    for rows, message in (([[1, 2, 16, 4]], "outside of its grid"), ([[1, 2, 3]], "not a list of voxels")):
        save_rows(path, rows)
        with pytest.raises(DataError, match=message):
            surround.load(tmp_path, NAME, training=True)


def test_lidar_classes_go_by_name():
    """The numbers of flat.other and flat.sidewalk are swapped in some copies: names decide."""
    categories = [
        {"name": "flat.other", "index": 26},
        {"name": "flat.sidewalk", "index": 25},
        {"name": "vehicle.bus.rigid", "index": 1},
        {"name": "animal", "index": 2},
    ]
    table = point_class_table(categories, OCC3D_NUSCENES)
    assert [table[i] for i in (26, 25, 1, 2, 3)] == [12, 13, 3, 0, 255]
    table = point_class_table(categories, OPENOCC)  # other ids, and no class for an animal
    assert [table[i] for i in (26, 25, 1, 2)] == [
        OPENOCC.index("other_flat"),
        OPENOCC.index("sidewalk"),
        3,
        255,
    ]
    with pytest.raises(DataError, match="lidarseg"):
        point_class_table([{"name": "animal"}], OPENOCC)


def test_grids_are_those_of_the_formats():
    assert VoxelGrid((-40, -40, -1), (40, 40, 5.4), SHAPE) == Occ3DLabels.native_grid == OpenOccLabels.native_grid
    assert SurroundOccLabels.native_grid.voxel_size == pytest.approx((0.5, 0.5, 0.5))
    assert OpenOccupancyLabels.native_grid.voxel_size == pytest.approx((0.2, 0.2, 0.2))


WAYMO_NAME = KeyFrameName("1005", "1005", "1005012", "velodyne/1005012.bin", "1005012")


def save_waymo(path: Path, free: int, **changes: np.ndarray) -> None:
    arrays = {key: np.ones(SHAPE, np.uint8) for key in ("origin_voxel_state", "final_voxel_state", "infov")}
    labels = np.full(SHAPE, free, np.uint8)
    labels[1, 2, 3] = 9  # motorcycle
    save_npz(path, **{"voxel_label": labels, "ego2global": np.eye(4), **arrays, **changes})


@pytest.mark.parametrize("free", [23, 15])
def test_waymo_axes_masks_and_both_free_ids(tmp_path, free):
    labels = Occ3DWaymoLabels(Occ3DWaymoLabels.native_grid)
    (path,) = labels.paths(tmp_path, WAYMO_NAME)
    assert path == tmp_path / "gts/validation/005/012_04.npz"
    camera, infov = np.ones(SHAPE, np.uint8), np.ones(SHAPE, np.uint8)
    camera[0, 0, 0], infov[1, 2, 3] = 0, 0
    save_waymo(path, free, final_voxel_state=camera, infov=infov)
    scored = labels.load(tmp_path, WAYMO_NAME, training=False)
    assert scored.occupancy[3, 2, 1] == 9
    assert np.unique(scored.occupancy).tolist() == [9, 15]
    assert (~scored.mask_camera).sum() == 2
    assert not scored.mask_camera[0, 0, 0]
    assert not scored.mask_camera[3, 2, 1]
    trained = labels.load(tmp_path, WAYMO_NAME, training=True)
    assert (trained.occupancy == 255).sum() == 2


def test_waymo_labels_with_two_kinds_of_free_space_are_refused(tmp_path):
    labels = Occ3DWaymoLabels(Occ3DWaymoLabels.native_grid)
    (path,) = labels.paths(tmp_path, WAYMO_NAME)
    mixed = np.full(SHAPE, 23, np.uint8)
    mixed[0, 0, 0] = 15
    save_waymo(path, 23, voxel_label=mixed)
    with pytest.raises(DataError, match="two labels of free space"):
        labels.load(tmp_path, WAYMO_NAME, training=False)
