"""A hand-made nuScenes of two scenes with exact, simple poses: small enough to write in a moment."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from mmdet3d_plugin.datasets.index import CAMERAS

VERSION = "v1.0-mini"
SCENES = {"scene-0061": 5, "scene-0103": 3}  # one of the mini training split, one of its validation split
SIZE = (160, 90)  # (width, height)
SPEED = 10.0  # m/s along the heading
DELAY = 0.035  # s that every camera fires before the lidar
FOCAL = 126.0
GRID = {"lower": (-40.0, -40.0, -1.0), "upper": (40.0, 40.0, 5.4), "shape": (200, 200, 16)}
CATEGORIES = ("noise", "vehicle.car", "flat.driveable_surface", "static.vegetation", "animal")
# camera axes (x right, y down, z forward) in the ego frame for a camera that looks forward, as a quaternion
FORWARD = np.array([0.5, -0.5, 0.5, -0.5])
YAWS = dict(zip(CAMERAS, np.radians([55.0, 0.0, -55.0, 110.0, 180.0, -110.0])))
LIDAR_ROTATION = np.array([np.sqrt(0.5), 0.0, 0.0, -np.sqrt(0.5)])  # yaw -90 degrees
LIDAR_POSITION = (0.94, 0.0, 1.84)


def turn(yaw: float) -> np.ndarray:
    return np.array([np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    w, v, u, x = a[0], a[1:], b[0], b[1:]
    return np.r_[w * u - v @ x, w * x + u * v + np.cross(v, x)]


def heading(scene: int) -> float:
    return 0.4 + scene


def position(scene: int, time: float) -> tuple[float, float, float]:
    """Global position of the ego after `time` seconds: far from the origin, as in a real map."""
    yaw = heading(scene)
    return 1000.0 + SPEED * time * np.cos(yaw), 600.0 + SPEED * time * np.sin(yaw), 0.0


def write(root: Path) -> Path:
    """Write the data set and return its root."""
    tables: dict[str, list] = {
        name: [] for name in ("scene", "sample", "sample_data", "ego_pose", "calibrated_sensor", "sensor", "lidarseg")
    }
    tables["category"] = [{"token": f"category{i}", "name": n, "index": i} for i, n in enumerate(CATEGORIES)]
    for channel in (*CAMERAS, "LIDAR_TOP"):
        camera = channel != "LIDAR_TOP"
        tables["sensor"].append({"token": f"sensor_{channel}", "channel": channel, "modality": "any"})
        rotation = product(turn(YAWS[channel]), FORWARD) if camera else LIDAR_ROTATION
        tables["calibrated_sensor"].append(
            {
                "token": f"calibrated_{channel}",
                "sensor_token": f"sensor_{channel}",
                "translation": [1.5, 0.0, 1.5] if camera else list(LIDAR_POSITION),
                "rotation": rotation.tolist(),
                "camera_intrinsic": [[FOCAL, 0, 79.5], [0, FOCAL, 44.5], [0, 0, 1]] if camera else [],
            }
        )
    rng = np.random.default_rng(0)
    for scene, (name, count) in enumerate(SCENES.items()):
        tables["scene"].append({"token": f"scenetoken{scene}", "name": name})
        for frame in range(count):
            _write_frame(root, tables, scene, name, frame, rng)
    (root / VERSION).mkdir(parents=True)
    for table, records in tables.items():
        (root / VERSION / f"{table}.json").write_text(json.dumps(records, indent=0))
    return root


def _write_frame(root: Path, tables: dict, scene: int, name: str, frame: int, rng: np.random.Generator) -> None:
    time, token = 0.5 * frame, f"sample{scene}_{frame}"
    stamp = 1_500_000_000_000_000 + scene * 10**8 + int(time * 1e6)
    tables["sample"].append({"token": token, "timestamp": stamp, "scene_token": f"scenetoken{scene}"})
    for channel in (*CAMERAS, "LIDAR_TOP"):
        camera = channel != "LIDAR_TOP"
        moment = time - DELAY if camera else time
        file = f"samples/{channel}/log__{channel}__{scene}{frame}.{'jpg' if camera else 'pcd.bin'}"
        data = f"data_{token}_{channel}"
        tables["ego_pose"].append(
            {"token": data, "translation": position(scene, moment), "rotation": turn(heading(scene)).tolist()}
        )
        tables["sample_data"].append(
            {
                "token": data,
                "sample_token": token,
                "ego_pose_token": data,
                "calibrated_sensor_token": f"calibrated_{channel}",
                "filename": file,
                "width": SIZE[0] if camera else 0,
                "height": SIZE[1] if camera else 0,
                "is_key_frame": True,
            }
        )
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        if camera:
            smooth = cv2.resize(rng.integers(0, 256, (5, 8, 3), np.uint8), SIZE, interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(root / file), smooth)
        else:
            points = rng.uniform((-30, -30, -1.8, 0, 0), (30, 30, 3, 255, 31), (2000, 5)).astype("<f4")
            points.tofile(root / file)
            segments = f"lidarseg/{VERSION}/{data}_lidarseg.bin"
            (root / segments).parent.mkdir(parents=True, exist_ok=True)
            rng.integers(0, len(CATEGORIES), 2000, dtype=np.uint8).tofile(root / segments)
            tables["lidarseg"].append({"token": data, "sample_data_token": data, "filename": segments})
    folder = root / "gts" / name / token
    folder.mkdir(parents=True)
    semantics = np.full((200, 200, 16), 17, np.uint8)
    semantics[:, :, 2] = 11
    semantics[150, 120, 3:6] = 4  # a mark without symmetry: x = 20.2 m, y = 8.2 m
    visible = np.zeros((200, 200, 16), np.uint8)
    visible[20:, 10:190] = 1
    masks = {"mask_camera": visible, "mask_lidar": np.ones_like(visible)}
    np.savez_compressed(folder / "labels.npz", semantics=semantics, **masks)


def config(root: Path, **changes: object) -> dict:
    """Arguments of a `NuScenesOccDataset` over the hand-made world that uses everything."""
    arguments = {
        "root": str(root),
        "version": VERSION,
        "split": "train",
        "labels": {"type": "Occ3DLabels", "grid": GRID},
        "image": {
            "type": "ImagePipeline",
            "size": (32, 88),
            "resize": (-0.03, 0.055),
            "flip": 0.5,
            "rotation": 0.09425,
        },
        "scene": {"type": "SceneAugmentation", "flip_x": 0.5, "flip_y": 0.5, "rotation": 0.4},
        "depth": {"type": "DepthMaps", "depth_range": (1.0, 45.0), "semantics": True},
        "load_adjacent": True,
    }
    return arguments | changes
