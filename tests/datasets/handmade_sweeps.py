"""Camera sweeps for the hand-made nuScenes: five before every key frame but the first, 80 ms apart, one colour each."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import handmade
import numpy as np

from mmdet3d_plugin.datasets.index import CAMERAS

SWEEPS = 5
INTERVAL = 0.08  # s between two sweeps, and between the newest one and the key frame


def age(entry: int) -> float:
    """Seconds between an image and the one of the current key frame; entry 0 is the newest, every sixth a key frame."""
    key_frames, sweep = divmod(entry + 1, SWEEPS + 1)
    return 0.5 * key_frames + INTERVAL * sweep


def colour(frame: int, sweep: int, camera: int) -> tuple[int, int, int]:
    """RGB of the image that a camera took sweep + 1 steps before a key frame."""
    return 40 * frame + 20, 40 * sweep + 20, 30 * camera + 20


def add(root: Path) -> Path:
    """Write sweeps and their records, and the times of all images; returns the root."""
    folder = root / handmade.VERSION
    samples, data, poses = (
        json.loads((folder / f"{n}.json").read_text()) for n in ("sample", "sample_data", "ego_pose")
    )
    stamps = {sample["token"]: sample["timestamp"] for sample in samples}
    for record in data:
        early = handmade.DELAY if "CAM" in record["filename"] else 0
        record["timestamp"] = stamps[record["sample_token"]] - round(early * 1e6)
    for sample in samples:
        scene, frame = map(int, sample["token"].removeprefix("sample").split("_"))
        for k in range(SWEEPS if frame else 0):
            for n, camera in enumerate(CAMERAS):
                before = handmade.DELAY + INTERVAL * (k + 1)
                token, file = f"{sample['token']}_{camera}_{k}", f"sweeps/{camera}/{scene}_{frame}_{k}.jpg"
                place = handmade.position(scene, 0.5 * frame - before)
                turned = handmade.turn(handmade.heading(scene)).tolist()
                poses.append({"token": token, "translation": place, "rotation": turned})
                data.append(
                    {
                        "token": token,
                        "sample_token": sample["token"],
                        "ego_pose_token": token,
                        "calibrated_sensor_token": f"calibrated_{camera}",
                        "timestamp": sample["timestamp"] - round(before * 1e6),
                        "filename": file,
                        "width": handmade.SIZE[0],
                        "height": handmade.SIZE[1],
                        "is_key_frame": False,
                    }
                )
                (root / file).parent.mkdir(parents=True, exist_ok=True)
                image = np.full((*handmade.SIZE[::-1], 3), colour(frame, k, n)[::-1], np.uint8)
                cv2.imwrite(str(root / file), image)
    for name, records in (("sample_data", data), ("ego_pose", poses)):
        (folder / f"{name}.json").write_text(json.dumps(records))
    return root
