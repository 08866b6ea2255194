"""Transforms against the world that they act on (spec/data/synthetic section 9, items 1, 2, 5 and 7).

Scene augmentation against the augmented scene voxelised anew, depth maps against the rendered depth under the same
image augmentation, adjacent frames against the rendered depth of both. Every control breaks one thing and must fail.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmdet3d_plugin.datasets import DepthMaps, ImagePipeline, LabelVolume, NuScenesOccDataset, SceneAugmentation
from mmdet3d_plugin.datasets.index import CAMERAS
from mmdet3d_plugin.datasets.synthetic.labels import VoxelLabels
from mmdet3d_plugin.datasets.transforms import transform_labels
from mmdet3d_plugin.geometry.transforms import inverse, mirror
from mmdet3d_plugin.structures import VoxelGrid

from .conftest import OCC3D, Written, apply

FB_OCC = SceneAugmentation(rotation=np.radians(22.5))
"""Scene augmentation of FB-Occ and SparseOcc (spec/data/pipelines section 0)."""
SIZE = (128, 352)
FAR = 45.0
FRONT = CAMERAS.index("CAM_FRONT")


# ------------------------------------------------------------------------------------------------ scene augmentation


def volume(labels: VoxelLabels) -> LabelVolume:
    """[Z, Y, X], 254 for free, so that it differs from 255 for no label; flow everywhere."""
    occupancy = np.where(labels.class_id == 255, 254, labels.class_id).astype(np.uint8)
    return LabelVolume(
        np.ascontiguousarray(occupancy.swapaxes(0, 2)), flow=np.ascontiguousarray(labels.flow.transpose(3, 2, 1, 0))
    )


def both(written: Written, frame: int, grid_from_ego: np.ndarray) -> tuple[LabelVolume, LabelVolume]:
    """Transformed labels of the scene, and labels of the transformed scene."""
    world, time = written.world(frame), written.time(frame)
    pose = world.ego_pose(time)
    ours = transform_labels(volume(world.voxelise(time, pose, OCC3D)), OCC3D, grid_from_ego)
    return ours, volume(world.voxelise(time, pose @ np.linalg.inv(grid_from_ego), OCC3D))


def overlap(ours: LabelVolume, anew: LabelVolume) -> float:
    """Of the voxels that are occupied in one of them, the share that both give the same class."""
    known = ours.occupancy != 255
    one, other = ours.occupancy[known], anew.occupancy[known]
    occupied = (one != 254) | (other != 254)
    return float((one == other)[occupied].mean())


def flow_error(ours: LabelVolume, anew: LabelVolume) -> float:
    """Mean distance in m/s where both see something that moves."""
    moving = np.isfinite(ours.flow).all(axis=0) & (np.hypot(*ours.flow) > 1) & (np.hypot(*anew.flow) > 1)
    assert moving.sum() > 50
    return float(np.hypot(*(ours.flow - anew.flow))[moving].mean())


@pytest.mark.parametrize(("flip_x", "flip_y"), [(True, False), (False, True), (True, True)])
def test_labels_of_a_mirrored_world(written: Written, flip_x: bool, flip_y: bool):
    ours, anew = both(written, 1, mirror(flip_x, flip_y))
    assert overlap(ours, anew) > 0.999
    assert flow_error(ours, anew) < 1e-5
    wrong, _ = both(written, 1, mirror(not flip_x, flip_y))
    assert overlap(wrong, anew) < 0.6


@pytest.mark.parametrize("seed", range(4))
def test_labels_of_a_turned_world(written: Written, seed: int):
    """The rotation of FB-Occ: classes and velocities are those of the turned scene."""
    matrix = FB_OCC.draw(np.random.default_rng(seed))
    flips = np.diag(np.sign(np.diag(matrix)))
    rotation = flips @ matrix
    assert np.radians(3) < abs(np.arctan2(rotation[1, 0], rotation[0, 0])) < np.radians(22.5)
    ours, anew = both(written, 1, matrix)
    assert overlap(ours, anew) > 0.87  # surfaces one voxel thick, looked up at the nearest voxel
    assert flow_error(ours, anew) < 1e-3
    back, unturned = both(written, 1, flips @ rotation.T)[0], both(written, 1, flips)[0]
    assert overlap(back, anew) < 0.5
    assert overlap(unturned, anew) < 0.5
    assert flow_error(replace(ours, flow=unturned.flow), anew) > 1


def test_labels_of_a_grown_world(written: Written):
    """A scale moves labels along all three axes and lengthens velocities (spec/data/defects F13)."""
    world, time, scale = written.world(1), written.time(1), 1.1
    pose = world.ego_pose(time)
    smaller = VoxelGrid(*((np.array(corner) / scale).tolist() for corner in (OCC3D.lower, OCC3D.upper)), OCC3D.shape)
    anew = volume(world.voxelise(time, pose, smaller))
    anew.flow *= np.float32(scale)
    before = volume(world.voxelise(time, pose, OCC3D))
    ours = transform_labels(before, OCC3D, np.diag([scale, scale, scale, 1.0]))
    assert overlap(ours, anew) > 0.87
    assert flow_error(ours, anew) < 1e-3
    for wrong in ([1.0, 1.0, 1.0], [scale, scale, 1.0], [1 / scale] * 3):
        control = transform_labels(before, OCC3D, np.diag([*wrong, 1.0]))
        assert overlap(control, anew) < 0.87
        if wrong[0] != scale:
            assert flow_error(control, anew) > 0.1


# ------------------------------------------------------------------------------------------------------- depth maps


def depth_overlap(written: Written, folder: Path, resampling: str, change: dict | None = None) -> float:
    """Share of lidar returns in the depth maps that lie at the rendered depth, augmented as an image.

    The rendered depth is painted in steps of 25 cm, saved losslessly, and sent through the image pipeline; `change`
    are parameters that only the picture gets.
    """
    pipeline = ImagePipeline(SIZE, (-0.03, 0.055), 0.5, 0.09425, resampling=resampling)
    maps, index, right = DepthMaps((1.0, FAR)), written.index, []
    for frame in range(0, len(index), 4):
        world, points = written.world(frame), written.points(frame)
        for n, camera in enumerate(CAMERAS):
            mounted = next(c for c in world.rig.cameras if c.channel == camera)
            pose = index.camera_global_from_ego[frame, n] @ index.camera_ego_from_cam[frame, n]
            intrinsics = index.intrinsics[frame, n]
            depth = world.see(written.time(frame) + mounted.delay, pose, intrinsics, mounted.size).depth
            file = folder / "depth.png"
            painted = np.rint(4 * np.minimum(depth, 63)).astype(np.uint8)
            cv2.imwrite(str(file), np.repeat(painted[..., None], 3, axis=-1))
            drawn = pipeline.parameters(mounted.size, np.random.default_rng((frame, n)))
            picture = pipeline.load(
                file, replace(drawn, **{k: f(getattr(drawn, k)) for k, f in (change or {}).items()})
            )
            cam_from_lidar = inverse(pose) @ index.global_from_ego[frame] @ index.ego_from_lidar[frame]
            found, _ = maps.project(points, None, cam_from_lidar, intrinsics, pipeline.matrix(drawn), SIZE)
            seen = found > 0
            right.append(np.abs(picture[..., 0][seen] / 4.0 - found[seen]) < 0.3 + 0.02 * found[seen])
    return float(np.concatenate(right).mean())


@pytest.mark.parametrize("resampling", ["warp", "pil"])
def test_depth_maps_lie_on_the_rendered_depth(written: Written, tmp_path: Path, resampling: str):
    assert depth_overlap(written, tmp_path, resampling) > 0.86  # the rest is hidden from the camera, or at an edge


@pytest.mark.parametrize(
    "change",
    [
        {"flip": lambda flip: not flip},
        {"angle": lambda angle: -angle},
        {"angle": lambda angle: 0.0},
        {"crop": lambda crop: (crop[0] + 8, crop[1])},
        {"crop": lambda crop: (crop[0], crop[1] + 4)},
    ],
    ids=["not flipped", "turned back", "not turned", "8 pixels aside", "4 pixels below"],
)
def test_depth_comparison_notices(written: Written, tmp_path: Path, change: dict):
    assert depth_overlap(written, tmp_path, "warp", change) < 0.80


# -------------------------------------------------------------------------------------------------- adjacent frames


Views = dict[tuple[int, int], tuple[np.ndarray, np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def views() -> Views:
    return {}


def view(written: Written, views: Views, row: int, camera: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[H, W] rendered depth, whether the pixel shows something that can move, and [3, 3] intrinsics."""
    if (row, camera) not in views:
        world, index = written.world(row), written.index
        mounted = next(c for c in world.rig.cameras if c.channel == CAMERAS[camera])
        pose = index.camera_global_from_ego[row, camera] @ index.camera_ego_from_cam[row, camera]
        intrinsics = index.intrinsics[row, camera]
        seen = world.see(written.time(row) + mounted.delay, pose, intrinsics, mounted.size)
        moving = np.append(world._moving_part, [False, False])[seen.hit]  # the two last are ground and sky
        views[row, camera] = seen.depth, moving, intrinsics
    return views[row, camera]


def adjacent_overlap(written: Written, views: Views, error: str | None = None) -> float:
    """Share of pixels whose point, seen from the camera of the previous key frame, lies at the depth rendered there.

    Without the road, which stays where it is when it is shifted along itself, and without what moves; points that
    something nearer hides in the previous frame say nothing.
    """
    index, right = written.index, []
    labels = {"type": "Occ3DLabels", "grid": OCC3D}
    image = {"type": "ImagePipeline", "size": SIZE}
    dataset = NuScenesOccDataset(str(written.root), "v1.0-mini", "train", labels, image, "predict")
    for frame in range(1, len(dataset), 2):
        row = int(np.flatnonzero(index.token == dataset.tokens[frame])[0])
        assert dataset.previous(frame) == frame - 1
        matrices = dataset.adjacent_from_cam(frame)
        for n in range(len(CAMERAS)):
            mount = index.camera_ego_from_cam[row, n]
            late = inverse(index.global_from_ego[row]) @ index.camera_global_from_ego[row, FRONT]
            matrix = {
                None: matrices[n],
                "not moved": np.eye(4),
                "inverse": inverse(matrices[n]),
                "35 ms late": matrices[n] @ inverse(mount) @ late @ mount,
            }[error]
            depth, moving, intrinsics = view(written, views, row, n)
            before, moving_before, _ = view(written, views, row - 1, n)
            v, u = np.nonzero((depth > 2) & (depth < FAR) & ~moving)
            here = np.column_stack((u, v, np.ones(len(u)))) @ np.linalg.inv(intrinsics).T * depth[v, u, None]
            height = apply(index.camera_global_from_ego[row, n] @ mount, here)[:, 2]
            point = apply(matrix, here[height > 0.4])
            point = point[point[:, 2] > 1.0]
            column, line = np.rint((point / point[:, 2:]) @ intrinsics.T)[:, :2].astype(int).T
            inside = (column >= 0) & (column < depth.shape[1]) & (line >= 0) & (line < depth.shape[0])
            place = line[inside], column[inside]
            behind, tolerance = before[place] - point[inside, 2], 0.1 + 0.01 * point[inside, 2]
            right.append((behind < tolerance)[(behind > -tolerance) & ~moving_before[place]])
    return float(np.concatenate(right).mean())


def test_adjacent_cameras_see_the_same_scene(written: Written, views: Views):
    assert adjacent_overlap(written, views) > 0.95


@pytest.mark.parametrize("error", ["not moved", "inverse", "35 ms late"])
def test_adjacent_comparison_notices(written: Written, views: Views, error: str):
    assert adjacent_overlap(written, views, error) < 0.85
