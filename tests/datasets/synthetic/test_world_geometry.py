"""Images, lidar, poses and boxes describe the same world (spec/data/synthetic section 9, items 1, 3 and 4).

The controls break one thing at a time and must fail: fractions see errors that the median hides.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from mmdet3d_plugin.datasets.index import CAMERAS
from mmdet3d_plugin.datasets.synthetic.catalog import LIDARSEG_NAMES, OCC3D_FROM_LIDARSEG
from mmdet3d_plugin.datasets.synthetic.solids import AXLE, BOX, CABIN, CYLINDER, ELLIPSOID, interval, local_hit

from .conftest import OCC3D, Written, apply, voxel_of


def rotation(degrees: float) -> np.ndarray:
    a = np.radians(degrees)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]
    return matrix


def depth_agreement(written: Written, error: str | None) -> tuple[float, float]:
    """Shares of lidar points within 0.2 m of the rendered depth, and with nothing at all up to 0.5 m behind them.

    The rest are points that the camera cannot see, because something else is before them.
    """
    index, differences = written.index, []
    for frame in range(len(index)):
        lidar = index.ego_from_lidar[frame].copy()
        points = written.points(frame)[:, :3].astype(np.float64)
        if error == "no lever arm":
            lidar[:3, 3] = 0
        if error == "mirrored":
            points[:, 1] *= -1
        everywhere = apply(index.global_from_ego[frame] @ lidar, points)
        for n, camera in enumerate(CAMERAS):
            ego = index.global_from_ego if error == "ego time" else index.camera_global_from_ego[:, n]
            mount = index.camera_ego_from_cam[frame, n]
            if error == "yaw":
                mount = rotation(1.0) @ mount
            cam = apply(np.linalg.inv(ego[frame] @ mount), everywhere)
            cam = cam[cam[:, 2] > 1.0]
            depth, intrinsics = written.view(frame, camera)
            uv = np.rint((cam / cam[:, 2:]) @ intrinsics.T)[:, :2].astype(int)
            inside = np.all((uv >= 0) & (uv < (depth.shape[1], depth.shape[0])), axis=1)
            differences.append(depth[uv[inside, 1], uv[inside, 0]] - cam[inside, 2])
    difference = np.concatenate(differences)
    return float((np.abs(difference) < 0.2).mean()), float((difference > 0.5).mean())


def test_lidar_points_lie_at_the_rendered_depth(written: Written):
    close, behind = depth_agreement(written, None)
    assert close >= 0.90
    assert behind <= 0.02


@pytest.mark.parametrize("error", ["ego time", "yaw", "no lever arm", "mirrored"])
def test_depth_agreement_notices(written: Written, error: str):
    close, behind = depth_agreement(written, error)
    assert close < 0.90
    assert behind > 0.02


def label_agreement(written: Written, shift: tuple[float, float, float]) -> tuple[float, float]:
    """Share of lidar returns, 5 cm beyond the surface, in an occupied voxel, and of those with the right class.

    Voxels with returns of several classes count for the first share only: whatever their label is, it is right for
    some of them.
    """
    occupied, same = [], []
    for frame in range(len(written.index)):
        points = written.points(frame)[:, :3].astype(np.float64)
        points *= 1 + 0.05 / np.linalg.norm(points, axis=1, keepdims=True)
        voxel, inside = voxel_of(apply(written.index.ego_from_lidar[frame], points) + shift, OCC3D)
        flat = np.ravel_multi_index(tuple(voxel[inside].T), OCC3D.shape)
        label = written.occ3d(frame)["semantics"].reshape(-1)[flat]
        hit = OCC3D_FROM_LIDARSEG[written.point_classes(frame)[inside]]
        low, high = np.full(OCC3D.num_voxels, 255), np.zeros(OCC3D.num_voxels, int)
        np.minimum.at(low, flat, hit)
        np.maximum.at(high, flat, hit)
        occupied.append(label != 17)
        same.append((label == hit)[(label != 17) & (low == high)[flat]])
    return float(np.concatenate(occupied).mean()), float(np.concatenate(same).mean())


def test_lidar_returns_fall_into_voxels_of_their_class(written: Written):
    occupied, same = label_agreement(written, (0, 0, 0))
    assert occupied >= 0.99
    assert same >= 0.985


def test_label_agreement_notices_a_shift(written: Written):
    occupied, _ = label_agreement(written, (0, 0, 0.4))
    assert occupied < 0.5
    _, same = label_agreement(written, (0.4, 0.4, 0))
    assert same < 0.985


def tables(written: Written, *names: str) -> list[list[dict]]:
    return [json.loads((written.root / "v1.0-mini" / f"{name}.json").read_text()) for name in names]


def test_points_in_boxes_have_the_class_of_the_box(written: Written):
    annotations, instances, categories = tables(written, "sample_annotation", "instance", "category")
    name_of = {c["token"]: c["name"] for c in categories}
    category_of = {i["token"]: name_of[i["category_token"]] for i in instances}
    frame_of = {token: n for n, token in enumerate(written.index.token)}
    everywhere = {}
    counted = right = 0
    for annotation in annotations:
        frame = frame_of[annotation["sample_token"]]
        if frame not in everywhere:
            pose = written.index.global_from_ego[frame] @ written.index.ego_from_lidar[frame]
            everywhere[frame] = apply(pose, written.points(frame)[:, :3].astype(np.float64))
        w, _, _, z = annotation["rotation"]
        yaw = rotation(np.degrees(2 * np.arctan2(z, w)))[:3, :3]
        width, length, height = annotation["size"]
        local = (everywhere[frame] - annotation["translation"]) @ yaw
        inside = np.all(np.abs(local) <= np.array([length, width, height]) / 2, axis=1)
        assert inside.sum() == annotation["num_lidar_pts"]
        classes = written.point_classes(frame)[inside]
        counted += len(classes)
        right += int((classes == LIDARSEG_NAMES.index(category_of[annotation["instance_token"]])).sum())
    assert counted > 5000
    assert right / counted > 0.99


def test_annotated_velocity_is_the_velocity_of_the_object(written: Written):
    """Centred difference over the neighbouring key frames, as the devkit computes it."""
    annotations, samples = tables(written, "sample_annotation", "sample")
    by_token, time = {a["token"]: a for a in annotations}, {s["token"]: s["timestamp"] * 1e-6 for s in samples}
    frame_of = {token: n for n, token in enumerate(written.index.token)}
    moments = [(written.world(n), written.time(n)) for n in range(len(written.index))]
    truth = [(world.boxes(t), world.object_velocities(t)) for world, t in moments]
    moving = 0
    for annotation in annotations:
        if not annotation["prev"] or not annotation["next"]:
            continue
        before, after = by_token[annotation["prev"]], by_token[annotation["next"]]
        span = time[after["sample_token"]] - time[before["sample_token"]]
        velocity = np.subtract(after["translation"], before["translation"])[:2] / span
        boxes, velocities = truth[frame_of[annotation["sample_token"]]]
        distances = np.linalg.norm([b.centre - annotation["translation"] for b in boxes], axis=1)
        assert distances.min() < 1e-9
        actual = velocities[boxes[int(distances.argmin())].instance]
        np.testing.assert_allclose(velocity, actual, atol=0.35)
        moving += np.hypot(*actual) > 1
    assert moving > 10


@pytest.mark.parametrize("shape", [BOX, ELLIPSOID, CYLINDER, AXLE, CABIN])
def test_rays_enter_and_leave_a_solid_on_its_surface(shape: int):
    """Points just inside of both ends are inside, points beyond are not; normals look outwards."""
    rng = np.random.default_rng(0)
    geometry = np.array([[3.0, -2.0, 1.0, np.cos(0.7), np.sin(0.7), 2.0, 0.8, 0.6, shape]])
    hits = 0
    for _ in range(300):
        origin = geometry[0, :3] + rng.normal(0, 5, 3)
        target = geometry[0, :3] + rng.normal(0, 0.5, 3)
        ray = (*origin, *(target - origin))
        t0, t1 = interval(geometry, 0, *ray)
        if t0 > t1:
            continue
        hits += 1
        for inside, t in ((False, t0 - 1e-4), (True, t0 + 1e-4), (True, t1 - 1e-4), (False, t1 + 1e-4)):
            vertical = origin + t * (target - origin)
            low, high = interval(geometry, 0, *vertical, 0.0, 0.0, 1.0)
            assert inside == (low <= 0.0 <= high) or t1 - t0 < 3e-4
        _, _, _, nx, ny, nz = local_hit(geometry, 0, *(origin + t0 * (target - origin)))
        c, s = geometry[0, 3:5]
        outward = np.array([c * nx - s * ny, s * nx + c * ny, nz])
        assert np.linalg.norm(outward) == pytest.approx(1.0, abs=1e-6)
        assert outward @ (target - origin) < 1e-9
    assert hits > 150
