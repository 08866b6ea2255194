"""Past images of the synthetic world: what stands still must be seen where the past matrices say."""

from __future__ import annotations

import dataclasses
import pickle
import shutil
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest
import torch
from comparison import equal, rerooted

from mmdet3d_plugin.datasets import NuScenesHistoryDataset, NuScenesOccDataset, SampleRequest, collate
from mmdet3d_plugin.datasets.index import CAMERAS
from mmdet3d_plugin.datasets.labels import Occ3DLabels
from mmdet3d_plugin.datasets.nuscenes_sweep_infos import create_sweep_infos
from mmdet3d_plugin.datasets.sweep_index import load_info_sweeps
from mmdet3d_plugin.datasets.synthetic import World
from mmdet3d_plugin.datasets.synthetic.catalog import OCC3D_FROM_LIDARSEG
from mmdet3d_plugin.datasets.synthetic.presets import get_preset
from mmdet3d_plugin.errors import ConfigError, DataError
from mmdet3d_plugin.geometry.transforms import apply
from mmdet3d_plugin.restricted_pickle import load_pickle
from mmdet3d_plugin.structures import CameraRig

VERSION = "v1.0-mini"
PLAIN = {"type": "ImagePipeline", "size": (128, 352)}
IMAGE = {
    "type": "ImagePipeline", "size": (128, 352), "resize": (-0.03, 0.055), "flip": 0.5, "rotation": 0.09425
}  # fmt: skip
STATIC = [OCC3D_FROM_LIDARSEG[i] for i in (24, 26, 28, 30)]  # road, sidewalk, buildings, plants


def arguments(root: Path, **changes) -> dict:
    return {
        "root": str(root),
        "version": VERSION,
        "split": "train",
        "labels": {"type": "Occ3DLabels", "grid": Occ3DLabels.native_grid, "mask": "none"},
        "image": IMAGE,
        "scene": {"type": "SceneAugmentation", "rotation": 0.4},
        **changes,
    }


def reader(root: Path, **changes) -> NuScenesHistoryDataset:
    return NuScenesHistoryDataset(**arguments(root, history={"type": "ImageHistory", "frames": 7}, **changes))


@dataclasses.dataclass
class Truth:
    """What the world has behind every pixel of an original image, and where its camera was.

    Attributes:
        classes: [H, W] Occ3D ids, 255 for sky.
        depth: [H, W] metres.
        cam_from_global: [4, 4].
        intrinsics: [3, 3].
    """

    classes: np.ndarray
    depth: np.ndarray
    cam_from_global: np.ndarray
    intrinsics: np.ndarray

    @staticmethod
    def of(world: World, camera: int, time: float) -> Truth:
        mounted = next(c for c in world.rig.cameras if c.channel == CAMERAS[camera])
        pose = world.ego_pose(time) @ mounted.ego_from_cam
        view = world.render(time, pose, mounted.intrinsics, mounted.size)
        classes = np.append(OCC3D_FROM_LIDARSEG, np.full(224, 255)).astype(np.uint8)
        return Truth(classes[view.class_id], view.depth, np.linalg.inv(pose), mounted.intrinsics)

    def sees(self, points: np.ndarray) -> np.ndarray:
        """[P] bool: nothing hides the global points [P, 3]."""
        in_camera = apply(self.cam_from_global, points)
        pixels = np.rint((in_camera @ self.intrinsics.T)[:, :2] / in_camera[:, 2:]).astype(int)
        inside = (in_camera[:, 2] > 1) & within(pixels, self.depth.shape)
        column, line = np.where(inside[:, None], pixels, 0).T
        return inside & (np.abs(self.depth[line, column] - in_camera[:, 2]) < 0.3)


def within(pixels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return ((pixels >= 0) & (pixels < shape[::-1])).all(axis=1)


def static_voxels(occupancy: np.ndarray, dataset: NuScenesOccDataset) -> tuple[np.ndarray, np.ndarray]:
    """[P, 3] centres, metres, augmented frame, and [P] classes of what cannot move, from 6 to 30 m away."""
    centres = dataset.grid.centers().reshape(-1, 3).double().numpy()
    distance, label = np.linalg.norm(centres[:, :2], axis=1), occupancy.reshape(-1)
    chosen = np.isin(label, STATIC) & (distance > 6) & (distance < 30)
    return centres[chosen], label[chosen]


def pixels_of(rig: CameraRig, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[V, P, 2] whole pixels of the network input, and of the original images."""
    crop, _ = rig.project(torch.from_numpy(points)[None])
    original = (torch.linalg.inv(rig.crop_from_pixel.double()) @ torch.cat((crop, crop[..., :1] * 0 + 1), -1).mT).mT
    return tuple(torch.round(pixels[0, ..., :2]).long().numpy() for pixels in (crop, original))


def agreement(root: Path, mode: str, error: str | None = None) -> tuple[float, float]:
    """Static voxels in past images, looked up through the rig of the sample.

    Judged are voxels that nothing hides, in the present and in the past, according to the world itself.

    Returns:
        the share on pixels that show their class, and the mean difference of their colours in the past and in the
        present image of the same camera, 0 to 255.
    """
    dataset = reader(root, mode=mode, **({} if mode == "train" else {"image": PLAIN, "scene": None}))
    preset, right, colours = get_preset("tiny"), [], []
    for index in (2, 7):
        batch = collate([dataset[SampleRequest(index, 5)]])
        frame, past = batch.frames[0], batch.frames[0].past
        if error == "pose of the present":
            past.ego_from_cam[:] = frame.rig.ego_from_cam[:, None]
        if error == "pose of the next past image":
            past.ego_from_cam = past.ego_from_cam.roll(1, dims=1)
        if error == "pose of the next camera":
            past.ego_from_cam = past.ego_from_cam.roll(1, dims=2)
        world = World(0, str(dataset.scene_names[index]), preset.duration, preset.image_scale)
        start = dataset.timestamps[dataset.frames_of_scene(index)[0]] * 1e-6
        points, label = static_voxels(batch.targets.occupancy[0].numpy(), dataset)
        everywhere = apply(
            dataset.global_from_volume(index) @ np.linalg.inv(frame.rig.grid_from_ego[0].numpy()), points
        )
        now, _ = pixels_of(frame.rig, points)
        then, original = pixels_of(past.rig(frame.rig), points)
        for n in range(6):
            seen = Truth.of(world, n, float(past.current_time[0, n]) - start).sees(everywhere)
            seen &= within(now[n], frame.images.shape[-2:])
            for t in (0, 2, 5):
                truth, view = Truth.of(world, n, float(past.time[0, t, n]) - start), 6 * t + n
                judged = np.flatnonzero(seen & truth.sees(everywhere) & within(then[view], past.images.shape[-2:]))
                judged = judged[within(original[view, judged], truth.depth.shape)]
                column, line = original[view, judged].T
                right.append(truth.classes[line, column] == label[judged])
                images = [
                    image[:, v, u].int()
                    for image, (u, v) in (
                        (past.images[0, t, n], then[view, judged].T),
                        (frame.images[0, n], now[n, judged].T),
                    )
                ]
                colours.append((images[0] - images[1]).abs().float().mean(dim=0).numpy())
    assert sum(map(len, right)) > 2000
    return float(np.concatenate(right).mean()), float(np.concatenate(colours).mean())


@pytest.mark.parametrize("mode", ["train", "evaluate"])
def test_static_voxels_are_where_the_past_images_show_them(sweep_world, mode):
    right, colour = agreement(sweep_world, mode)
    assert right > 0.97
    assert colour < 24


@pytest.mark.parametrize("error", ["pose of the present", "pose of the next past image"])
def test_the_agreement_notices(sweep_world, error):
    right, colour = agreement(sweep_world, "train", error)
    assert right < 0.85
    assert colour > 30


# ------------------------------------------------------------------------------------------------------- two sources


@pytest.fixture(scope="module")
def infos_world(sweep_world, tmp_path_factory) -> Path:
    """The world with pickles that were written elsewhere, under another root."""
    root = tmp_path_factory.mktemp("infos") / "nuscenes"
    shutil.copytree(sweep_world, root)
    create_sweep_infos(str(root), root, VERSION, 1, progress=False)
    for file in root.glob("*.pkl"):
        file.write_bytes(pickle.dumps(rerooted(load_pickle(file), str(root)), 4))
    return root


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("mode", ["train", "evaluate"])
def test_tables_and_sweep_pickles_give_the_same_batches_to_the_bit(infos_world, mode, split):
    options = {"mode": mode, "split": split, "scene": None if mode == "evaluate" else {"type": "SceneAugmentation"}}
    tables = reader(infos_world, **options)
    infos = reader(infos_world, **options | {"split": f"nuscenes_infos_{split}_sweep.pkl"})
    assert len(tables) == len(infos) == (8 if split == "train" else 4)
    for first in range(0, len(tables), 2):
        requests = [SampleRequest(first, 3), SampleRequest(first + 1, 4)]
        batch = collate([tables[r] for r in requests])
        assert batch.frames[0].past is not None
        assert equal(batch, collate([infos[r] for r in requests]))
    assert not equal(batch, collate([infos[SampleRequest(0, 3)], infos[SampleRequest(1, 3)]]))


def test_the_pickles_are_as_published(infos_world):
    infos = load_pickle(infos_world / "nuscenes_infos_train_sweep.pkl")["infos"]
    dataset = reader(infos_world, mode="train")
    assert [len(info["sweeps"]) for info in infos] == [0, 5, 5, 5, 0, 5, 5, 5]
    assert [info["token"] for info in infos] == dataset.tokens.tolist()
    for row in (1, 6):
        info, past = infos[row], dataset.past(row)
        for n, camera in enumerate(CAMERAS):
            for entry, image in [*zip(info["sweeps"], past), (infos[row - 1]["cams"], past[5])]:
                stored = entry[camera]
                assert not {"sensor2ego_rotation", "ego2global_rotation"} & set(stored)
                assert stored["data_path"] == f"./data/nuscenes/{image.files[n]}"
                assert stored["timestamp"] == image.time[n]
                np.testing.assert_array_equal(stored["cam_intrinsic"], image.intrinsics[n])
                point = np.array([1.0, 2.0, 30.0])  # rows of the stored matrix multiply a row vector
                everywhere = point @ stored["sensor2global_rotation"] + stored["sensor2global_translation"]
                np.testing.assert_allclose(everywhere, apply(image.global_from_cam[n], point[None])[0], atol=1e-9)
        newest = [entry["CAM_FRONT"]["timestamp"] for entry in (info["cams"], *info["sweeps"], infos[row - 1]["cams"])]
        assert newest == sorted(newest, reverse=True)


def test_sweep_pickles_need_no_tables(infos_world, tmp_path):
    root = tmp_path / "nuscenes"
    root.mkdir()
    for entry in infos_world.iterdir():
        if entry.name not in (VERSION, ".occstudio"):
            (root / entry.name).symlink_to(entry)
    sample = reader(root, split="nuscenes_infos_val_sweep.pkl", mode="evaluate", scene=None)[3]
    assert sample.past_images.shape == (7, 6, 3, 128, 352)


def test_sweep_pickles_do_not_know_the_ego_vehicle_of_cam_front(infos_world):
    split = "nuscenes_infos_val_sweep.pkl"
    plain = NuScenesOccDataset(**arguments(infos_world, split=split))
    assert equal(collate([plain[2]]), collate([NuScenesOccDataset(**arguments(infos_world, split="val"))[2]]))
    with pytest.raises(ConfigError, match=r"(?s)does not say where the ego vehicle was.*lidar_ego"):
        NuScenesOccDataset(**arguments(infos_world, split=split, key_frame="cam_front_ego"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda info: info["sweeps"][0]["CAM_BACK"].pop("timestamp"), "no field 'timestamp'"),
        (lambda info: info["sweeps"][0]["CAM_BACK"].pop("sensor2global_rotation"), "sensor2global_rotation"),
        (lambda info: info["sweeps"][0]["CAM_BACK"].update(data_path="../x.jpg"), "outside of the data set"),
        (lambda info: info["sweeps"][0]["CAM_BACK"].update(cam_intrinsic=[[1.0]]), "another format"),
        (lambda info: info.update(sweeps={"CAM_BACK": 1}), "another format"),
        (lambda info: info.pop("sweeps"), "no field 'sweeps'"),
    ],
)
def test_broken_sweeps_are_named(infos_world, tmp_path, change, message):
    file = shutil.copy(infos_world / "nuscenes_infos_train_sweep.pkl", tmp_path)
    content = load_pickle(Path(file))
    change(content["infos"][2])
    Path(file).write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match=message):
        load_info_sweeps(tmp_path, Path(file).name)


def test_the_command(infos_world, tmp_path, monkeypatch, capsys):
    tools = Path(__file__).resolve().parents[2] / "tools"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "nuscenes").symlink_to(infos_world)
    monkeypatch.chdir(tmp_path)
    command = run_path(str(tools / "create_data_sweeps.py"))
    command["main"](["--version", VERSION, "--workers", "2", "--out-dir", "out"])
    assert "nuscenes_infos_val_sweep.pkl" in capsys.readouterr().out
    assert sorted(path.name for path in Path("out").iterdir()) == [
        f"nuscenes_infos_{split}_sweep.pkl" for split in ("train", "val")
    ]
    for path in Path("out").iterdir():
        again, before = load_pickle(path)["infos"], load_pickle(infos_world / path.name)["infos"]
        assert pickle.dumps(again[1]["sweeps"]) == pickle.dumps(before[1]["sweeps"])


def test_pickles_of_a_world_without_sweeps_are_refused(tiny_world, tmp_path):
    with pytest.raises(DataError, match=r"(?s)no images between key frames.*--sweeps 5"):
        create_sweep_infos(str(tiny_world), tmp_path, VERSION, 1, progress=False)
