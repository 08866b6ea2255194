from __future__ import annotations

import os

import handmade
import numpy as np
import pytest

from mmdet3d_plugin.datasets.point_files import extract_point_classes
from mmdet3d_plugin.errors import DataError

VERSION = handmade.VERSION
CLASSES = np.array([0, 4, 11, 16, 0])  # of the categories of the hand-made world: noise, car, road, vegetation, animal


def test_every_sweep_has_its_classes(world, tmp_path):
    assert extract_point_classes(world, tmp_path / "out", VERSION, 2, progress=False) == 8
    files = sorted((tmp_path / "out").iterdir())
    assert files[2].name == "log__LIDAR_TOP__02.npz"
    with np.load(files[2]) as archive:
        assert archive.files == ["lidar_seg"]
        classes = archive["lidar_seg"]
    assert classes.shape == (2000, 1)
    assert classes.dtype == np.int64
    ids = np.fromfile(world / "lidarseg" / VERSION / "data_sample0_2_LIDAR_TOP_lidarseg.bin", np.uint8)
    np.testing.assert_array_equal(classes[:, 0], CLASSES[ids])


def test_what_is_there_is_kept(world, tmp_path):
    extract_point_classes(world, tmp_path, VERSION, 1, progress=False)
    files = sorted(tmp_path.iterdir())
    files[3].unlink()
    for file in files[:3] + files[4:]:
        os.utime(file, (1, 1))
    extract_point_classes(world, tmp_path, VERSION, 1, progress=False)
    assert [file.stat().st_mtime == 1 for file in files] == [True] * 3 + [False] + [True] * 4


def test_sweeps_and_classes_must_fit(broken_world, tmp_path):
    sweep = broken_world / "samples" / "LIDAR_TOP" / "log__LIDAR_TOP__01.pcd.bin"
    for size, message in ((400, "does not fit its sweep"), (399, "is truncated")):
        sweep.write_bytes(bytes(size))
        with pytest.raises(DataError, match=message):
            extract_point_classes(broken_world, tmp_path, VERSION, 1, progress=False)
    sweep.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        extract_point_classes(broken_world, tmp_path, VERSION, 1, progress=False)
    (broken_world / VERSION / "lidarseg.json").unlink()
    with pytest.raises(DataError, match=r"lidarseg\.json does not exist"):
        extract_point_classes(broken_world, tmp_path, VERSION, 1, progress=False)
