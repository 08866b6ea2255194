"""Tables of the size of nuScenes v1.0-trainval, laid out as its files are: one field to a line.

Every key frame has twelve sensors, and the sweeps between key frames have records of their own: 77 for each key frame,
12 of them key frames. Poses, tokens and names have the lengths that real ones have.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mmdet3d_plugin.datasets.key_frames import CAMERAS, LIDAR

SCENES, FRAMES = 850, 34_149
RADARS = ("RADAR_FRONT", "RADAR_FRONT_LEFT", "RADAR_FRONT_RIGHT", "RADAR_BACK_LEFT", "RADAR_BACK_RIGHT")
PER_KEY_FRAME = {**dict.fromkeys(CAMERAS, 6), LIDAR: 10, **dict.fromkeys(RADARS, 6), "RADAR_FRONT": 7}
"""Records of each channel from one key frame to the next, its own included."""
PERIOD = 500_000  # microseconds from key frame to key frame
_KINDS = {"CAM": ("jpg", "jpg", 900, 1600), "LIDAR": ("pcd", "pcd.bin", 0, 0), "RADAR": ("pcd", "pcd", 0, 0)}


def token(kind: int, *numbers: int) -> str:
    """32 hexadecimal digits, different for different arguments; they look as random as those of nuScenes."""
    mixed = kind
    for number in numbers:
        mixed = (mixed * 0x5851F42D4C957F2D + number + 1) % (1 << 128)
    return f"{mixed * 0xDA942042E4DD58B5_9E3779B97F4A7C15 % (1 << 128):032x}"


def write_full_tables(folder: Path, scenes: int = SCENES, frames: int = FRAMES) -> None:
    """Write scene, sample, sensor, calibrated_sensor, sample_data and ego_pose.

    Args:
        folder: `<root>/<version>`, made if it is not there.
        scenes: number of scenes, named scene-0001 and so on.
        frames: number of key frames in all of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lengths = [len(part) for part in np.array_split(np.arange(frames), scenes)]
    names = [{"token": token(1, s), "name": f"scene-{s + 1:04d}", "nbr_samples": n} for s, n in enumerate(lengths)]
    _write(folder, "scene", names)
    samples = [
        {"token": token(2, s, f), "timestamp": _start(s) + f * PERIOD, "scene_token": token(1, s)}
        for s, n in enumerate(lengths)
        for f in range(n)
    ]
    _write(folder, "sample", samples)
    _write(folder, "sensor", [{"token": token(3, c), "channel": name} for c, name in enumerate(PER_KEY_FRAME)])
    rng = np.random.default_rng(0)
    _write(
        folder, "calibrated_sensor", [_mounting(rng, s, c) for s in range(scenes) for c in range(len(PER_KEY_FRAME))]
    )
    with (folder / "sample_data.json").open("w") as data, (folder / "ego_pose.json").open("w") as poses:
        separator = "[\n"
        for of_data, of_pose in _records(lengths):
            data.write(separator + of_data)
            poses.write(separator + of_pose)
            separator = ",\n"
        data.write("\n]")
        poses.write("\n]")


def _write(folder: Path, name: str, records: list[dict]) -> None:
    (folder / f"{name}.json").write_text(json.dumps(records, indent=0))


def _start(scene: int) -> int:
    return 1_532_402_927_000_000 + scene * 100_000_000


def _mounting(rng: np.random.Generator, scene: int, channel: int) -> dict:
    camera = channel < len(CAMERAS)
    return {
        "token": token(4, scene, channel),
        "sensor_token": token(3, channel),
        "translation": rng.normal(size=3).tolist(),
        "rotation": rng.normal(size=4).tolist(),
        "camera_intrinsic": rng.normal(size=(3, 3)).tolist() if camera else [],
    }


def _records(lengths: list[int]) -> Iterator[tuple[str, str]]:
    """Records of sample_data and of ego_pose, which share their tokens, as text."""
    rng = np.random.default_rng(1)
    log = "n015-2018-07-24-11-22-45+0800"
    for scene, frame in ((s, f) for s, length in enumerate(lengths) for f in range(length)):
        q, p = rng.normal(size=4).tolist(), rng.uniform(100, 3000, 2).tolist()
        sample, start = token(2, scene, frame), _start(scene) + frame * PERIOD - 45_000
        for channel, (name, count) in enumerate(PER_KEY_FRAME.items()):
            form, suffix, height, width = _KINDS[name.split("_")[0]]
            mounting, chain = token(4, scene, channel), [token(5, scene, frame, channel, n) for n in range(count)]
            for sweep, own in enumerate(chain):
                time = start + sweep * PERIOD // count + channel
                before, after = "" if sweep == 0 else chain[sweep - 1], chain[(sweep + 1) % count]
                yield (
                    f'{{\n"token": "{own}",\n"sample_token": "{sample}",\n'
                    f'"ego_pose_token": "{own}",\n"calibrated_sensor_token": "{mounting}",\n'
                    f'"timestamp": {time},\n"fileformat": "{form}",\n'
                    f'"is_key_frame": {"false" if sweep else "true"},\n"height": {height},\n"width": {width},\n'
                    f'"filename": "{"sweeps" if sweep else "samples"}/{name}/{log}__{name}__{time}.{suffix}",\n'
                    f'"prev": "{before}",\n"next": "{after}"\n}}',
                    f'{{\n"token": "{own}",\n"timestamp": {time},\n'
                    f'"rotation": [\n{q[0]},\n{q[1]},\n{q[2]},\n{q[3]}\n],\n'
                    f'"translation": [\n{p[0]},\n{p[1] + sweep},\n0.0\n]\n}}',
                )
