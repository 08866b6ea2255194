"""Labels of one annotation as those of another: closed forms, the synthetic world, files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmdet3d_plugin.datasets.conversion import MARKER, convert_split
from mmdet3d_plugin.datasets.index import KeyFrameIndex, load_index
from mmdet3d_plugin.datasets.labels import LABEL_SETS, LabelSet, OpenOccupancyLabels, label_set
from mmdet3d_plugin.datasets.labels.convert import class_table, convert
from mmdet3d_plugin.datasets.synthetic import World
from mmdet3d_plugin.datasets.synthetic.catalog import OCC3D_FROM_LIDARSEG
from mmdet3d_plugin.errors import ConfigError, DataError
from mmdet3d_plugin.structures import OCC3D_NUSCENES, OCC3D_WAYMO, OPENOCC, VoxelGrid

ROOT = Path(__file__).resolve().parents[2]
FREE, CAR, TRUCK, ROAD = 17, 4, 10, 11
OCC3D, OPENOCC_LABELS, SURROUND, OPENOCCUPANCY = map(label_set, ("occ3d", "openocc", "surroundocc", "openoccupancy"))
EGO_FROM_LIDAR = np.array([[0.0, 1, 0, 0.5], [-1, 0, 0, 0], [0, 0, 1, 1.0], [0, 0, 0, 1]])  # x right, y forward


def small(lower, upper, shape, space=OCC3D_NUSCENES, frame="ego", noise_class=None) -> LabelSet:
    """An annotation without files."""
    grid = VoxelGrid(lower, upper, shape)
    body = {"space": space, "native_grid": grid, "frame": frame, "noise_class": noise_class}
    kind = type("Small", (LabelSet,), body | {"paths": LabelSet.paths, "load": LabelSet.load})
    kind.__abstractmethods__ = frozenset()
    return kind(grid, "nowhere")


CUBE = small((-2.0, -2.0, -2.0), (2.0, 2.0, 2.0), (4, 4, 4))


# ---------------------------------------------------------------------------------------------- classes


def test_classes_belong_together_by_name():
    table = class_table(OPENOCC_LABELS, OCC3D)
    assert table[:17].tolist() == [4, 10, 9, 3, 5, 2, 6, 7, 8, 1, 11, 12, 13, 14, 15, 16, 17]  # formats section 3.2
    assert (table[17:] == 255).all()
    back = class_table(OCC3D, OPENOCC_LABELS)
    assert [back[table[i]] for i in range(17)] == list(range(17))


def test_others_are_ignored_where_the_target_has_no_such_class():
    assert class_table(OCC3D, OPENOCC_LABELS)[0] == 255
    assert class_table(OCC3D, SURROUND)[0] == 255  # id 0 of SurroundOcc is noise
    assert class_table(SURROUND, OCC3D)[0] == 255
    assert class_table(SURROUND, OCC3D)[1:18].tolist() == list(range(1, 18))
    assert class_table(OCC3D, OPENOCC_LABELS, {"others": "manmade"})[0] == OPENOCC.index("manmade")


def test_a_class_without_a_counterpart_is_refused_unless_it_is_named():
    waymo = label_set("occ3d-waymo")
    with pytest.raises(ConfigError, match="without a counterpart") as error:
        class_table(waymo, OCC3D)
    assert "general_object, vehicle, sign" in str(error.value)
    assert "Occ3D-nuScenes: others, barrier" in str(error.value)
    chosen = dict.fromkeys(set(OCC3D_WAYMO.classes) - {"free", "pedestrian", "bicycle"}, "ignore")
    table = class_table(waymo, OCC3D, chosen | {"vehicle": "car", "road": "driveable_surface"})
    assert table[[1, 2, 13, 15]].tolist() == [CAR, 7, ROAD, FREE]
    assert table[OCC3D_WAYMO.index("sign")] == 255


@pytest.mark.parametrize(
    ("classes", "message"),
    [({"vehicle": "car"}, "Occ3D-nuScenes has no class 'vehicle'"), ({"car": "cra"}, "did you mean 'car'")],
)
def test_misspelt_classes_are_refused(classes, message):
    with pytest.raises(ConfigError, match=message):
        class_table(OCC3D, OPENOCC_LABELS, classes)


# --------------------------------------------------------------------------------------- grids and frames


def test_a_shifted_grid_knows_nothing_outside():
    volume = np.arange(4, dtype=np.uint8).reshape(1, 1, 4).repeat(4, 0).repeat(4, 1)  # the label is x
    shifted = small((-1.0, -2.0, -3.0), (3.0, 2.0, 1.0), (4, 4, 4))
    result = convert(volume, CUBE, shifted)
    assert result[1, 0].tolist() == [1, 2, 3, 255]
    assert (result[0] == 255).all()


def test_the_lidar_frame_is_turned_and_mounted():
    """2 m ahead of the lidar, 0.5 m to its left: 2.5 m ahead of the vehicle, 0.5 m to its left, 1 m higher."""
    lidar = small((-4.0, -4.0, -4.0), (4.0, 4.0, 4.0), (8, 8, 8), frame="lidar")
    ego = small((-3.5, -4.0, -3.0), (4.5, 4.0, 5.0), (8, 8, 8))
    volume = np.full((8, 8, 8), FREE, np.uint8)
    volume[4, 6, 3] = CAR  # x in [-1, 0), y in [2, 3), z in [0, 1)
    result = convert(volume, lidar, ego, EGO_FROM_LIDAR)
    assert np.argwhere(result == CAR).tolist() == [[4, 4, 6]]  # z in [1, 2), y in [0, 1), x in [2.5, 3.5)
    assert (result != 255).all()
    np.testing.assert_array_equal(convert(result, ego, lidar, EGO_FROM_LIDAR), volume)


def test_a_coarse_voxel_is_what_most_of_its_occupied_parts_are():
    coarse = small((-2.0, -2.0, -2.0), (2.0, 2.0, 2.0), (2, 2, 2))
    volume = np.full((4, 4, 4), FREE, np.uint8)
    volume[0, 0, 0] = TRUCK  # one of eight
    volume[0, :2, 2:] = [[CAR, ROAD], [ROAD, 255]]
    volume[2, 2, :2] = [TRUCK, CAR]  # a tie
    volume[2:, :2, 2:] = 255
    volume[2:, 2:, 2:] = 255
    volume[2, 2, 2] = FREE
    result = convert(volume, CUBE, coarse)
    assert result.tolist() == [[[TRUCK, ROAD], [FREE, FREE]], [[FREE, 255], [CAR, FREE]]]


def test_a_fine_target_is_refused_and_both_grids_are_printed():
    with pytest.raises(ConfigError, match="too coarse") as error:
        convert(np.full(OCC3D.grid.zyx, FREE, np.uint8), OCC3D, OPENOCCUPANCY, np.eye(4))
    assert str(OCC3D.grid) in str(error.value)
    assert str(OPENOCCUPANCY.grid) in str(error.value)


def test_a_forgotten_mounting_and_a_wrong_volume_are_refused():
    with pytest.raises(ConfigError, match="different frames"):
        convert(np.full(SURROUND.grid.zyx, FREE, np.uint8), SURROUND, OCC3D)
    with pytest.raises(ConfigError, match="not on the grid"):
        convert(np.full(SURROUND.grid.shape, FREE, np.uint8), SURROUND, OCC3D, np.eye(4))


# ---------------------------------------------------------------------------------------- the same scene


@pytest.fixture(scope="module")
def index(tiny_world) -> KeyFrameIndex:
    return load_index(tiny_world, "v1.0-mini")


def read(root: Path, index: KeyFrameIndex, row: int, labels: LabelSet) -> np.ndarray:
    return labels.load(root, index.name(row), training=False).occupancy


def agreement(truth: np.ndarray, converted: np.ndarray) -> tuple[float, float]:
    """Share of equal labels among the voxels that both know, and among those that one of them calls occupied."""
    known = (truth != 255) & (converted != 255)
    occupied = known & ((truth != FREE) | (converted != FREE))
    equal = truth == converted
    return float(equal[known].mean()), float(equal[occupied].mean())


def test_openocc_becomes_occ3d_except_for_others(tiny_world, index):
    """The same voxels under other ids; OpenOcc has no class "others", such voxels are free in it."""
    others = 0
    for row in range(len(index)):
        truth = read(tiny_world, index, row, OCC3D)
        converted = convert(read(tiny_world, index, row, OPENOCC_LABELS), OPENOCC_LABELS, OCC3D)
        np.testing.assert_array_equal(converted, np.where(truth == 0, FREE, truth))
        back = convert(truth, OCC3D, OPENOCC_LABELS)
        np.testing.assert_array_equal(back[truth != 0], read(tiny_world, index, row, OPENOCC_LABELS)[truth != 0])
        assert (back[truth == 0] == 255).all()
        others += (truth == 0).sum()
    assert others > 0


@pytest.mark.parametrize("row", [0, 5, 10])
def test_surroundocc_becomes_occ3d_and_back(tiny_world, index, row):
    """Voxels of 0.5 m in a turned grid against 0.4 m: 95 % of all known voxels agree, and 63 % of those that one of
    the two calls occupied; a wrong frame leaves less than 92 % and 40 %.
    """
    mounting = index.ego_from_lidar[row]
    occ3d, surround = (read(tiny_world, index, row, labels) for labels in (OCC3D, SURROUND))
    converted = convert(surround, SURROUND, OCC3D, mounting)
    everything, occupied = agreement(occ3d, converted)
    assert (converted != 255).mean() > 0.85
    assert everything >= 0.95
    assert occupied >= 0.63
    everything, occupied = agreement(surround, convert(occ3d, OCC3D, SURROUND, mounting))
    assert everything >= 0.96
    assert occupied >= 0.72


WRONG = {
    "no frame change": lambda mounting: np.eye(4),
    "inverse": np.linalg.inv,
    "lever arm forgotten": lambda mounting: np.block([[mounting[:3, :3], np.zeros((3, 1))], [0, 0, 0, 1]]),
    "x mirrored": lambda mounting: mounting @ np.diag([-1.0, 1, 1, 1]),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_the_agreement_notices_a_wrong_frame(tiny_world, index, wrong):
    for row in (0, 5, 10):
        truth = read(tiny_world, index, row, OCC3D)
        surround = read(tiny_world, index, row, SURROUND)
        everything, occupied = agreement(truth, convert(surround, SURROUND, OCC3D, wrong(index.ego_from_lidar[row])))
        assert everything < 0.92
        assert occupied < 0.40


def test_the_agreement_notices_wrong_axes(tiny_world, index):
    truth, surround = read(tiny_world, index, 0, OCC3D), read(tiny_world, index, 0, SURROUND)
    swapped = np.ascontiguousarray(surround.swapaxes(1, 2))
    everything, occupied = agreement(truth, convert(swapped, SURROUND, OCC3D, index.ego_from_lidar[0]))
    assert everything < 0.92
    assert occupied < 0.40


def test_openoccupancy_of_version_0_0_becomes_the_others(tiny_world, index, tmp_path):
    """Seven columns, z first. Voxels of 0.2 m: what is thin survives, because eight points are looked up."""
    world = World(0, str(index.scene_names[0]), 1.5, 0.22)
    pose = world.ego_pose(0.0) @ world.rig.ego_from_lidar
    labels = world.voxelise(0.0, pose, OPENOCCUPANCY.grid)
    voxels = np.argwhere(labels.occupied)
    rows = np.zeros((len(voxels), 7), np.float32)
    rows[:, :3], rows[:, 6] = voxels[:, ::-1], OCC3D_FROM_LIDARSEG[labels.class_id[labels.occupied]]
    reader = OpenOccupancyLabels(OPENOCCUPANCY.grid)
    (path,) = reader.paths(tmp_path, index.name(0))
    path.parent.mkdir(parents=True)
    np.save(path, rows)
    fine, mounting = read(tmp_path, index, 0, reader), index.ego_from_lidar[0]
    for target, bound in ((OCC3D, 0.85), (SURROUND, 0.70)):
        everything, occupied = agreement(read(tiny_world, index, 0, target), convert(fine, reader, target, mounting))
        assert everything >= 0.97
        assert occupied >= bound
    _, occupied = agreement(read(tiny_world, index, 0, OCC3D), convert(fine, reader, OCC3D, np.eye(4)))
    assert occupied < 0.40


# -------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize(
    ("source", "target"), [("surroundocc", "occ3d"), ("occ3d", "surroundocc"), ("surroundocc", "openocc")]
)
def test_files_are_read_back_as_they_were_converted(tiny_world, index, tmp_path, source, target):
    count = convert_split(
        tiny_world, tmp_path / "out", version="v1.0-mini", split="val", source=source, target=target, workers=2
    )
    val = index.select(["scene-0103"])
    assert count == len(val) == 4
    from_labels, to_labels = label_set(source), label_set(target, folder=str(tmp_path / "out"))
    for row in range(count):
        read_back = to_labels.load(tiny_world, val.name(row), training=False)
        expected = convert(read(tiny_world, val, row, from_labels), from_labels, to_labels, val.ego_from_lidar[row])
        np.testing.assert_array_equal(read_back.occupancy, expected)
        if target == "occ3d":
            np.testing.assert_array_equal(read_back.mask_camera, expected != 255)
        if target == "openocc":
            assert not np.isfinite(read_back.flow).any()


def test_a_stopped_conversion_goes_on(tiny_world, tmp_path):
    out, words = tmp_path / "out", {"version": "v1.0-mini", "source": "openocc", "target": "occ3d", "workers": 1}
    convert_split(tiny_world, out, split="val", **words)
    files = sorted(out.rglob("labels.npz"))
    content = {path: path.read_bytes() for path in files}
    files[1].unlink()
    marks = {path: path.stat().st_mtime_ns for path in files if path.exists()}
    convert_split(tiny_world, out, split="val", **words)
    assert {path: path.read_bytes() for path in sorted(out.rglob("labels.npz"))} == content
    assert {path: path.stat().st_mtime_ns for path in marks} == marks
    convert_split(tiny_world, out, split="train", **words)
    assert len(list(out.rglob("labels.npz"))) == 12
    assert {path.name for path in out.rglob("*") if path.is_file()} == {"labels.npz", MARKER}


def test_what_cannot_be_converted_is_refused_before_anything_is_written(tiny_world, tmp_path):
    words = {"version": "v1.0-mini", "split": "val"}
    refused = [("occ3d", "openoccupancy"), ("occ3d", "occ3d-waymo"), ("occ3d-waymo", "occ3d"), ("occ3d", "occ3d")]
    for source, target in refused:
        with pytest.raises(ConfigError):
            convert_split(tiny_world, tmp_path / "out", source=source, target=target, **words)
    with pytest.raises(DataError, match="label folder"):
        convert_split(tiny_world, tmp_path / "out", source="openoccupancy", target="occ3d", **words)
    assert not (tmp_path / "out").exists()
    assert {source for source, _ in refused} <= set(LABEL_SETS)


def test_other_files_are_never_overwritten(tiny_world, tmp_path):
    words = {"version": "v1.0-mini", "split": "val", "workers": 1}
    (tmp_path / "gts").mkdir()
    (tmp_path / "gts" / "precious").touch()
    with pytest.raises(ConfigError, match=f"no {MARKER} in it"):
        convert_split(tiny_world, tmp_path / "gts", source="openocc", target="occ3d", **words)
    convert_split(tiny_world, tmp_path / "out", source="openocc", target="occ3d", **words)
    with pytest.raises(ConfigError, match="another conversion"):
        convert_split(tiny_world, tmp_path / "out", source="surroundocc", target="occ3d", **words)


def test_the_tool_converts_and_complains(tiny_world, tmp_path):
    tool = [sys.executable, str(ROOT / "tools" / "convert_labels.py"), "--root", str(tiny_world)]
    words = [*tool, "--version", "v1.0-mini", "--out", str(tmp_path / "out"), "--workers", "1", "--from", "openocc"]
    done = subprocess.run([*words, "--to", "occ3d"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()[:3]) == (0, ["4", "key", "frames"])
    done = subprocess.run([*words, "--to", "openoccupancy"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "too coarse for OpenOccupancy" in done.stderr
