"""`occstudio doctor data`: a whole data set passes, and every way in which one can be broken is named."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from doctor_report import assert_road_is_below, problems, texts

from mmdet3d_plugin import cli
from mmdet3d_plugin.datasets.files import read_points
from mmdet3d_plugin.datasets.index import FRONT, load_index
from mmdet3d_plugin.datasets.labels import label_set
from mmdet3d_plugin.engine import data_doctor
from mmdet3d_plugin.engine.data_doctor import agreement, examine_data, flow, samples
from mmdet3d_plugin.errors import ConfigError
from mmdet3d_plugin.geometry.transforms import apply, inverse
from mmdet3d_plugin.structures import OCC3D_NUSCENES, OPENOCC

VERSION = "v1.0-mini"
Arrays = dict[str, np.ndarray]


@pytest.fixture
def broken(tiny_world, tmp_path) -> Path:
    """The tiny world, made of links: a test replaces files and never writes into one."""
    ignored = shutil.ignore_patterns(".*")
    return Path(shutil.copytree(tiny_world, tmp_path / "world", copy_function=os.link, ignore=ignored))


@pytest.fixture(autouse=True)
def few_frames(monkeypatch):
    monkeypatch.setattr(data_doctor, "FRAMES_COMPARED", 6)


def label_files(root: Path, folder: str) -> list[Path]:
    return sorted((root / folder).glob("*/*/labels.npz"))


def rewrite(root: Path, folder: str, change: Callable[[Arrays], Arrays]) -> None:
    for path in label_files(root, folder):
        with np.load(path) as archive:
            arrays = dict(archive)
        path.unlink()
        np.savez(path, **(arrays | change(arrays)))


def test_a_whole_world_passes_and_is_drawn(tiny_world, tmp_path, capsys):
    out = tmp_path / "pictures"
    assert cli.main(["doctor", "data", "--root", str(tiny_world), "--out", str(out)]) == 0
    assert f"problems in {tiny_world.name}" in capsys.readouterr().out.replace(str(tiny_world), tiny_world.name)
    (picture,) = out.iterdir()
    assert picture.name == "v1.0-mini_occ3d.png"
    assert_road_is_below(picture)


def test_findings_of_a_whole_world(tiny_world):
    findings = examine_data(tiny_world)
    assert not problems(findings)
    split = texts(findings, "split")
    assert "train: 2 scenes, 8 key frames, 48 images" in split
    assert "val: 1 scenes, 4 key frames, 24 images" in split
    assert "all 8 files are there" in texts(findings, "ray mask")
    assert "get the release nuScenes-Occupancy v0.1" in texts(findings, "openoccupancy")
    assert {f.status for f in findings if f.topic == "openoccupancy"} == {"note"}
    assert "flow [200, 200, 16, 2] float32" in texts(findings, "openocc")
    assert "ring 0 to 31" in texts(findings, "sweeps")
    for topic in ("occ3d", "openocc", "surroundocc"):
        assert "in occupied voxels: as documented 9" in texts(findings, topic)
        assert "own lidarseg class, mean of 16 classes: as documented 9" in texts(findings, topic)
    assert "error of the flow in m/s: ego axes 0.0" in texts(findings, "openocc")
    assert "ego at the time of LIDAR_TOP 9" in texts(findings, "occ3d")


def test_a_missing_label_folder_matters_where_it_is_asked_for(broken):
    shutil.rmtree(broken / "gts")
    assert not problems(examine_data(broken, ["openocc"]))
    found = problems(examine_data(broken, ["occ3d"]))
    assert f"label folder {broken / 'gts'} does not exist" in found
    assert "get the release Occ3D-nuScenes" in found
    assert cli.main(["doctor", "data", "--root", str(broken), "--labels", "occ3d"]) == 1


def test_one_missing_label_file_is_named_and_the_others_are_compared(broken):
    path = label_files(broken, "gts")[3]
    path.unlink()
    findings = examine_data(broken, ["occ3d"])
    found = problems(findings)
    assert f"1 of 8 files are missing, first {path}" in found
    assert found.count(str(path)) == 1
    assert "as documented 9" in texts(findings, "occ3d")


def test_a_truncated_label_file_is_one_problem_and_the_others_are_compared(broken):
    index = load_index(broken, VERSION)
    (path,) = label_set("occ3d").paths(broken, index.name(0))
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) // 2])
    findings = examine_data(broken, ["occ3d"])
    found = problems(findings)
    assert found.count("occ3d:") == 1
    assert f"{path} cannot be read" in found
    assert "do this" in found
    assert "as documented 9" in texts(findings, "occ3d")


TURNS = {
    "x and y exchanged": lambda a: a.swapaxes(0, 1),
    "x reversed": lambda a: a[::-1],
    "y reversed": lambda a: a[:, ::-1],
    "turned by 90 degrees to the left": lambda a: np.rot90(a),
    "turned by 90 degrees to the right": lambda a: np.rot90(a, -1),
    "turned by 180 degrees": lambda a: np.rot90(a, 2),
}


@pytest.mark.parametrize("turn", TURNS)
def test_turned_axes_are_named(broken, turn):
    rewrite(broken, "gts", lambda arrays: {"semantics": TURNS[turn](arrays["semantics"])})
    assert f"axes or frame are not those of the format: it is {turn}\n" in problems(examine_data(broken, ["occ3d"]))


@pytest.mark.parametrize(
    ("frame", "words"), [("lidar", "it is lidar frame\n"), ("camera", "the ego frame of CAM_FRONT's time\n")]
)
def test_another_frame_is_named(broken, frame, words):
    """Labels made of the returns themselves, in the frame of the sweep or in the ego frame of the image."""
    index, grid = load_index(broken, VERSION), OCC3D_GRID
    for row in range(len(index)):
        points = read_points(broken / str(index.lidar_file[row]))[:, :3].astype(np.float64)
        if frame == "camera":
            camera_from_ego = inverse(index.camera_global_from_ego[row, FRONT]) @ index.global_from_ego[row]
            points = apply(camera_from_ego @ index.ego_from_lidar[row], points)
        semantics = np.full(grid.shape, 17, np.uint8)
        (z, y, x), _ = agreement.voxels_of(points, grid)
        semantics[x, y, z] = 4
        (path,) = label_set("occ3d").paths(broken, index.name(row))
        path.unlink()
        np.savez(path, semantics=semantics, mask_lidar=semantics == 4, mask_camera=semantics == 4)
    assert words in problems(examine_data(broken, ["occ3d"]))


def test_labels_of_another_moment_fit_nothing(broken):
    index = load_index(broken, VERSION)
    paths = [label_set("occ3d").paths(broken, index.name(row))[0] for row in range(len(index))]
    data = [path.read_bytes() for path in paths]
    for path, content in zip(paths, data[4:] + data[:4]):
        path.unlink()
        path.write_bytes(content)
    assert "labels and sweeps fit under no convention" in problems(examine_data(broken, ["occ3d"]))


FLOWS = {
    "components exchanged": lambda flow: flow[..., ::-1],
    "signs reversed": lambda flow: -flow,
    "zero": lambda flow: 0 * flow,
    "metres per key frame": lambda flow: flow / 2,
}


@pytest.mark.parametrize("change", FLOWS)
def test_another_flow_is_named(broken, change):
    rewrite(broken, "openocc_v2", lambda arrays: {"flow": FLOWS[change](arrays["flow"])})
    findings = examine_data(broken, ["openocc"])
    assert f"flow is not along the ego axes: it is {change}\n" in problems(findings)
    assert problems(findings).count("openocc:") == 1


def test_flow_along_global_axes_is_named(broken):
    index = load_index(broken, VERSION)
    for row in range(len(index)):
        (path,) = label_set("openocc").paths(broken, index.name(row))
        with np.load(path) as archive:
            arrays = dict(archive)
        path.unlink()
        rotation = index.global_from_ego[row, :2, :2]
        np.savez(path, **(arrays | {"flow": (arrays["flow"] @ rotation.T).astype(np.float32)}))
    assert "it is global axes\n" in problems(examine_data(broken, ["openocc"]))


def test_flow_that_is_noise_fits_nothing(broken):
    rng = np.random.default_rng(0)
    rewrite(
        broken, "openocc_v2", lambda a: {"flow": rng.uniform(-30, 30, (200, 200, 16, 1)).repeat(2, -1).astype("f4")}
    )
    assert "flow is not " in problems(examine_data(broken, ["openocc"]))


def test_the_class_order_of_another_annotation_is_named(broken):
    to_openocc = np.array([17, *(OPENOCC.index(name) for name in OCC3D_NUSCENES.classes[1:17]), 17], np.uint8)
    rewrite(broken, "gts", lambda arrays: {"semantics": to_openocc[arrays["semantics"]]})
    found = problems(examine_data(broken, ["occ3d"]))
    assert "classes are not numbered as documented: order of OpenOcc" in found
    assert "0 holds car, not others" in found


def test_two_exchanged_classes_are_named(broken):
    exchanged = np.arange(18, dtype=np.uint8)
    exchanged[[4, 10]] = 10, 4
    rewrite(broken, "gts", lambda arrays: {"semantics": exchanged[arrays["semantics"]]})
    found = problems(examine_data(broken, ["occ3d"]))
    assert "no known numbering; 10 holds car, not truck, 4 holds truck, not car" in found


def test_missing_images_are_counted(broken):
    shutil.rmtree(broken / "samples" / "CAM_BACK")
    found = problems(examine_data(broken, ["surroundocc"]))
    assert "train: 8 of 48 files are missing, first" in found
    assert "val: 4 of 24 files are missing, first" in found
    assert "image archives" in found


def test_a_broken_image_is_named_and_the_others_are_drawn(broken, tmp_path):
    for path in (broken / "samples" / "CAM_BACK").iterdir():
        path.unlink()
        path.write_bytes(b"no image")
    findings = examine_data(broken, ["occ3d"], out=tmp_path / "out")
    assert "is corrupt" in problems(findings)
    assert (tmp_path / "out" / "v1.0-mini_occ3d.png").is_file()


def test_wrong_roots_and_versions(broken, tmp_path):
    assert "does not exist" in problems(examine_data(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    assert "gts/<scene>/<token>/labels.npz" in problems(examine_data(tmp_path / "empty"))
    command = ["doctor", "data", "--root", str(broken), "--labels", "occ3d"]
    assert cli.main([*command, "--version", "v1.0-mimi"]) == 1
    assert "no version 'v1.0-mimi': did you mean 'v1.0-mini'?" in problems(examine_data(broken, version="v1.0-mimi"))
    with pytest.raises(ConfigError, match="did you mean 'occ3d'"):
        examine_data(broken, ["occ3"])


def test_missing_and_broken_tables(broken):
    (broken / "v1.0-trainval").mkdir()
    table = broken / VERSION / "ego_pose.json"
    data = table.read_bytes()
    table.unlink()
    table.write_bytes(data[: len(data) // 2])
    found = problems(examine_data(broken, ["surroundocc"]))
    for name in ("scene", "sample", "sample_data", "ego_pose", "calibrated_sensor", "sensor"):
        assert f"v1.0-trainval/{name}.json is missing" in found
    assert f"{table} is not a JSON list" in found


def test_the_test_split_needs_no_labels(broken):
    (broken / VERSION).rename(broken / "v1.0-test")
    for name in ("splits.json", f"lidarseg/{VERSION}", "gts"):
        (broken / name).rename(broken / f"{name}.old")
    (broken / "v1.0-test" / "lidarseg.json").unlink()
    findings = examine_data(broken, ["occ3d"])
    assert not problems(findings)
    assert "test: 3 scenes, 12 key frames" in texts(findings, "split")
    assert "no public annotation" in texts(findings, "labels")


def test_a_split_of_absent_scenes_is_a_problem(broken):
    (broken / "splits.json").unlink()
    (broken / "splits.json").write_text(json.dumps({"train": ["scene-0061", "scene-9999"], "val": ["scene-0103"]}))
    findings = examine_data(broken, ["surroundocc"])
    assert "split 'train'" in problems(findings)
    assert "val: 1 scenes" in texts(findings, "split")


def test_without_lidarseg_and_boxes_some_is_not_judged(broken):
    for table in ("lidarseg", "sample_annotation"):
        (broken / VERSION / f"{table}.json").unlink()
    findings = examine_data(broken, ["openocc"])
    assert not problems(findings)
    assert "classes not judged" in texts(findings, "openocc")
    assert "flow not judged: 0 moving boxes" in texts(findings, "openocc")
    assert "get the archive nuScenes-lidarseg" in texts(findings, "lidarseg")


def test_wrong_types_shapes_and_values():
    mask = samples.ARRAYS["occ3d"]["mask_camera"]
    assert not samples.faults(np.ones((200, 200, 16), np.uint8), mask)
    assert "values outside of 0 to 1" in samples.faults(np.full((200, 200, 16), 3, np.uint8), mask)[0]
    assert "shape [16, 200, 200]" in samples.faults(np.ones((16, 200, 200), bool), mask)[0]
    semantics = samples.ARRAYS["occ3d"]["semantics"]
    assert "type float32" in samples.faults(np.ones((200, 200, 16), np.float32), semantics)[0]
    assert not samples.faults(np.full((200, 200, 16), 255, np.uint8), semantics)
    assert samples.describe("a", np.array([np.nan, 1.5, np.inf])) == "a [3] float64 1.5 to 1.5"
    assert samples.describe("a", np.zeros((0, 4))) == "a [0, 4] float64 without values"


def test_a_sweep_with_other_columns(broken):
    index = load_index(broken, VERSION)
    path = broken / str(index.lidar_file[0])
    points = read_points(path)
    path.unlink()
    np.pad(points, ((0, 0), (0, 1)))[: len(points) // 5 * 5].tofile(path)
    assert "the rows have not 5 columns" in problems(examine_data(broken, ["occ3d"]))


def test_what_cannot_be_told_is_a_note():
    hits, grid = agreement.Hits(), OCC3D_GRID
    occupied = np.ones(grid.zyx, bool)
    (finding,) = agreement.judge_axes("labels", hits, "")
    assert finding.status == "note"
    (finding,) = agreement.judge_time("labels", hits, "a", "b")
    assert (finding.status, "stands still" in finding.text) == ("note", True)
    for name in ("a", "b"):
        hits.add(name, np.zeros((1000, 3)), occupied, grid)
    (finding,) = agreement.judge_time("labels", hits, "a", "b")
    assert (finding.status, "too close to tell" in finding.text) == ("note", True)
    errors = flow.FlowErrors([5.0] * 9, {flow.DOCUMENTED: [0.1] * 9, "global axes": [0.2] * 9})
    (finding,) = flow.judge_flow("flow", errors)
    assert (finding.status, "global axes cannot be told" in finding.text) == ("note", True)


OCC3D_GRID = label_set("occ3d").native_grid
