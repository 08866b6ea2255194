"""Writing info pickles with camera sweeps, as SparseOcc reads them: `nuscenes_infos_{train,val}_sweep.pkl`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..geometry.transforms import Poses
from ..restricted_pickle import load_pickle
from .checks import find_root
from .index import KeyFrameIndex, load_index
from .key_frames import CAMERAS
from .nuscenes_infos import create_infos, write_pickle
from .sweep_index import SweepIndex, load_sweeps

_TAG = "nuscenes"
_KEPT = ("data_path", "type", "sample_data_token", "timestamp", "cam_intrinsic")


def create_sweep_infos(
    root: str, out_dir: str | Path, version: str, workers: int | None = None, progress: bool = True
) -> list[Path]:
    """Write one info pickle with camera sweeps for each split of a version (spec/data/formats section 9).

    The infos are those of :func:`create_infos`, with other cameras: they know `sensor2global_rotation` [3, 3], stored
    for row vectors, and `sensor2global_translation` [3], metres. `sweeps` has up to five dicts of such cameras, newest
    first. A run that was stopped goes on with the first scene that is not written.

    Args:
        root: folder of the data set; stored paths start with it, as it is given.
        out_dir: folder for the files.
        version: folder of the tables.
        workers: processes; one for each CPU if None. Their number changes no file.
        progress: show a progress bar.

    Returns:
        the files.

    Raises:
        DataError: the data set is incomplete or has no camera sweeps, or a file cannot be written.
    """
    folder = find_root(root, version)
    key_frames, sweeps = load_index(folder, version), load_sweeps(folder, version)
    if not len(sweeps.file):
        raise DataError(
            f"{folder / version / 'sample_data.json'} has no images between key frames",
            expected="records of sweeps/CAM_*, as the metadata of nuScenes has them",
            fix="unpack the metadata of nuScenes again, or make a synthetic world with --sweeps 5",
        )
    parts = Path(out_dir) / f".{_TAG}_sweep"
    rows = {str(token): row for row, token in enumerate(key_frames.token)}
    files = []
    for path in create_infos(root, parts, _TAG, version, workers, progress):
        content = load_pickle(path)
        for info in content["infos"]:
            row = rows[info["token"]]
            info["cams"] = _key_cameras(info["cams"], key_frames, row)
            info["sweeps"] = _sweeps(root.rstrip("/"), sweeps, row)
        files.append(Path(out_dir) / f"{path.stem}_sweep.pkl")
        write_pickle(content, files[-1])
    shutil.rmtree(parts)
    return files


def _key_cameras(cams: dict[str, dict], key_frames: KeyFrameIndex, row: int) -> dict[str, dict[str, Any]]:
    poses = key_frames.camera_global_from_ego[row] @ key_frames.camera_ego_from_cam[row]
    return {
        name: {**{key: camera[key] for key in _KEPT}, **_row_vectors(poses[CAMERAS.index(name)])}
        for name, camera in cams.items()
    }


def _sweeps(stored_root: str, sweeps: SweepIndex, row: int) -> list[dict[str, dict[str, Any]]]:
    """The sweeps of a key frame, whose rows of both indices are the same."""
    first, end = sweeps.start[row], sweeps.start[row + 1]
    return [
        {
            CAMERAS[n]: {
                "data_path": f"{stored_root}/{sweeps.file[k, n].decode()}",
                "type": CAMERAS[n],
                "timestamp": int(sweeps.time[k, n]),
                "cam_intrinsic": np.array(sweeps.intrinsics[sweeps.calibration[k, n]]),
                **_row_vectors(sweeps.global_from_cam[k, n]),
            }
            for n in np.flatnonzero(sweeps.present[k])
        }
        for k in range(first, end)
    ]


def _row_vectors(pose: Poses) -> dict[str, np.ndarray]:
    return {"sensor2global_rotation": pose[:3, :3].T.copy(), "sensor2global_translation": pose[:3, 3].copy()}
