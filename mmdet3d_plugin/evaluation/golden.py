"""The referee: run every case of a folder of golden metric values (its README describes the format)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..structures import (
    OCC3D_NUSCENES,
    OCC3D_WAYMO,
    OPENOCC,
    OPENOCCUPANCY,
    SURROUNDOCC,
    LabelSpace,
    OccTargets,
    VoxelGrid,
)
from .evaluator import OccupancyEvaluator
from .flow import flow_class_errors
from .miou import confusion, occupied_counts, voxel_rules
from .origins import lidar_origins
from .ray_casting import cast_rays, lidar_rays
from .ray_iou import ray_iou_matrix
from .state import EvaluationState

FLOW_TOLERANCE = 2e-6  # the published sums are float32 in parts
MODEL_TOLERANCE = 1e-6  # float32 throughout
# One unit in the last place: SurroundOcc divides mean counts, OpenOccupancy sums class by class.
ORDER_TOLERANCE = 1e-14
ORIGIN_TOLERANCE = 2e-6  # metres, across linear algebra libraries
_OCC3D_GRID = VoxelGrid((-40.0, -40.0, -1.0), (40.0, 40.0, 5.4), (200, 200, 16))


@dataclass
class Case:
    """Outcome of one golden case: `problems` is empty where every value agrees."""

    name: str
    compared: int = 0
    problems: list[str] = field(default_factory=list)

    def expect(self, what: str, found: Any, expected: Any, tolerance: float = 0.0) -> None:
        """Compare numbers of any shape; null in the golden file stands for NaN."""
        a, b = _numbers(found), _numbers(expected)
        self.compared += a.size
        if a.shape != b.shape:
            self.problems.append(f"{what}: shape {a.shape}, expected {b.shape}")
            return
        equal = (a == b) | (np.isnan(a) & np.isnan(b))
        wrong = ~(equal | (np.abs(a - b) <= tolerance))
        if wrong.any():
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            self.problems.append(
                f"{what}: {int(wrong.sum())} of {a.size} differ, at {at}: {a[at]!r}, expected {b[at]!r}"
            )


def run_golden(folder: str | Path) -> Iterator[Case]:
    """Run all cases of a folder, one after the other.

    Args:
        folder: with golden.json and the npz files.

    Raises:
        DataError: a file is missing.
    """
    folder = Path(folder)
    if not (folder / "golden.json").is_file():
        raise DataError(f"{folder} holds no golden.json")
    golden = json.loads((folder / "golden.json").read_text())
    sections: dict[str, tuple[str, Callable[..., Iterator[Case]]]] = {
        "occ3d": ("occ3d.npz", _occ3d),
        "openocc": ("openocc_flow.npz", _openocc),
        "surroundocc": ("ssc.npz", _surroundocc),
        "openoccupancy": ("ssc.npz", _openoccupancy),
        "waymo": ("waymo.npz", _waymo),
        "caster": ("caster.npz", _caster),
        "origins": ("origins.npz", _origins),
    }
    for name, (file, run) in sections.items():
        if name not in golden:
            continue
        if not (folder / file).is_file():
            raise DataError(f"{folder} lacks {file}", fix=f"it holds the arrays of section {name!r}")
        with np.load(folder / file) as arrays:
            yield from run(golden[name], arrays)


def _numbers(value: Any) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype != object:
        return array
    flat = [math.nan if v is None else v for v in array.ravel()]
    return np.array(flat, np.float64).reshape(array.shape)


def _volume(array: np.ndarray) -> Tensor:
    """[X, Y, Z] of a file as [1, Z, Y, X]."""
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 1, 0)))[None]


def _mask(packed: np.ndarray) -> np.ndarray:
    return np.unpackbits(packed).reshape(_OCC3D_GRID.shape).astype(bool)


def _origin_tuple(array: np.ndarray) -> tuple[Tensor, ...]:
    return (torch.from_numpy(array.astype(np.float64)),)


def _expect_voxels(case: Case, state: EvaluationState, mask: str, expected: dict) -> None:
    rule = voxel_rules(state.space, state.mode)[0]
    matrix = confusion(state.counts, mask)
    case.expect(f"hist@{mask}", matrix[:-1], expected["hist"])
    scores = state.class_table()[f"IoU@{mask}"]
    case.expect(f"per_class@{mask}", [s.value for s in scores], expected["per_class"])
    metrics = state.compute()
    for ours, theirs in (("mIoU", "miou"), ("mIoU_D", "miou_d"), ("IoU", "iou_occ")):
        case.expect(f"{ours}@{mask}", metrics[f"{ours}@{mask}"], expected[theirs])
    if "hist_occ" in expected:
        matched, truth, predicted = (int(v) for v in occupied_counts(matrix, state.space, rule))
        rows = matrix if rule.ignored == "occupied" else matrix[:-1]
        free = int(rows.sum()) - truth - predicted + matched
        case.expect(
            f"hist_occ@{mask}",
            [[free, predicted - matched], [truth - matched, matched]],
            expected["hist_occ"],
        )


def _expect_rays(case: Case, state: EvaluationState, expected: dict) -> None:
    metrics, counts = state.compute(), state.counts
    case.expect("RayIoU matrix", ray_iou_matrix(counts, state.space), expected["iou_per_threshold"])
    case.expect("scored rays", counts["rays_truth"].sum(), expected["valid_rays"])
    for name in ("RayIoU", "RayIoU@1", "RayIoU@2", "RayIoU@4"):
        if name in expected:
            case.expect(name, metrics[name], expected[name])
    if "gt_cnt" in expected:
        case.expect("G", counts["rays_truth"][:-1], expected["gt_cnt"])
        case.expect("P", counts["rays_predicted"], expected["pred_cnt"])


def _occ3d(golden: dict, arrays: Any) -> Iterator[Case]:
    for name, expected in golden.items():
        case = Case(f"occ3d/{name}")
        evaluator = OccupancyEvaluator(OCC3D_NUSCENES, _OCC3D_GRID, ("miou", "ray_iou"))
        for i in range(expected["frames"]):
            key = f"{name}/{i}/"
            targets = OccTargets(
                occupancy=_volume(arrays[key + "gt"]),
                mask_camera=_volume(_mask(arrays[key + "mask_camera"])),
                ray_origins=_origin_tuple(arrays[key + "origins"]),
            )
            evaluator.update(_volume(arrays[key + "pred"]), targets, [key])
        state = evaluator.state()
        _expect_voxels(case, state, "camera", expected["voxel_camera_mask"])
        _expect_voxels(case, state, "all", expected["voxel_no_mask"])
        _expect_rays(case, state, expected["rayiou"])
        yield case


def _flow(arrays: Any, key: str) -> Tensor:
    """Sparse flow of a file as [1, 2, Z, Y, X]."""
    values = arrays[key + "_val"]
    dense = np.zeros((_OCC3D_GRID.num_voxels, 2), values.dtype)
    dense[arrays[key + "_idx"]] = values
    dense = dense.reshape(*_OCC3D_GRID.shape, 2).transpose(3, 2, 1, 0)
    return torch.from_numpy(np.ascontiguousarray(dense))[None]


def _openocc(golden: dict, arrays: Any) -> Iterator[Case]:
    for name, expected in golden.items():
        case = Case(f"openocc/{name}")
        evaluator = OccupancyEvaluator(OPENOCC, _OCC3D_GRID, ("flow", "challenge"))
        for i in range(expected["frames"]):
            key = f"{name}/{i}/"
            targets = OccTargets(
                occupancy=_volume(arrays[key + "gt"]),
                flow=_flow(arrays, key + "flow_gt"),
                ray_origins=_origin_tuple(arrays[key + "origins"]),
            )
            evaluator.update(_volume(arrays[key + "pred"]), targets, [key], _flow(arrays, key + "flow_pred"))
        state = evaluator.state()
        metrics = state.compute()
        _expect_rays(case, state, expected)
        errors = flow_class_errors(state.counts, OPENOCC, "published")
        for ours, theirs in (("AVE_TP", "AVE_TP"), ("AVE_ray", "AVE_gtray"), ("AVE", "AVE_voxel")):
            classes = expected[f"{theirs}_per_class"][: len(OPENOCC.flow)]
            case.expect(ours, errors[ours], classes, FLOW_TOLERANCE)
        pairs = (
            ("mAVE_TP", "mAVE_TP"),
            ("mAVE_ray", "mAVE_gtray"),
            ("mAVE", "mAVE"),
            ("OccScore", "OccScore"),
        )
        for ours, theirs in pairs:
            case.expect(ours, metrics[ours], expected[theirs], FLOW_TOLERANCE)
        rays = {f"rays_{n}": state.counts[f"challenge_{n}"] for n in ("truth", "predicted", "matched")}
        server = expected["server"]
        case.expect("challenge matrix", ray_iou_matrix(rays, OPENOCC), server["iou_per_threshold"])
        case.expect("challenge/RayIoU", metrics["challenge/RayIoU"], server["RayIoU"])
        for ours in ("mAVE", "OccScore"):
            case.expect(f"challenge/{ours}", metrics[f"challenge/{ours}"], server[ours], FLOW_TOLERANCE)
        yield case


def _zero_is_free(labels: np.ndarray, space: LabelSpace) -> np.ndarray:
    """Ids of the sparse data sets (0 = empty, 255 = noise) as ids of our label space."""
    return np.where(labels == 0, space.free, labels).astype(np.uint8)


def _voxels_only(space: LabelSpace, frames: list[tuple[np.ndarray, np.ndarray]]) -> EvaluationState:
    grid = VoxelGrid((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), tuple(frames[0][0].shape))  # type: ignore[arg-type]
    evaluator = OccupancyEvaluator(space, grid)
    for i, (prediction, truth) in enumerate(frames):
        evaluator.update(_volume(prediction), OccTargets(occupancy=_volume(truth)), [str(i)])
    return evaluator.state()


def _surroundocc(golden: dict, arrays: Any) -> Iterator[Case]:
    space = SURROUNDOCC
    for name, expected in golden.items():
        case, frames = Case(f"surroundocc/{name}"), []
        for i in range(expected["frames"]):
            prediction = arrays[f"surroundocc/{name}/{i}/pred"]
            rows = arrays[f"surroundocc/{name}/{i}/gt_sparse"].astype(np.int64)
            truth = np.full(prediction.shape, space.free, np.uint8)
            truth[rows[:, 0], rows[:, 1], rows[:, 2]] = np.where(rows[:, 3] == 0, space.ignore, rows[:, 3])
            frames.append((_zero_is_free(prediction, space), truth))
        state = _voxels_only(space, frames)
        metrics, table, matrix = state.compute(), state.class_table(), confusion(state.counts, "all")
        original, model = expected["original"], expected["occstudio_in_model"]
        geometry = occupied_counts(matrix, space, voxel_rules(space, "published")[0])
        sums = [geometry, *((matrix[c, c], matrix[c].sum(), matrix[:-1, c].sum()) for c in range(1, 17))]
        case.expect("counts", np.array(sums), original["score_sum"])
        case.expect("per_class", [s.value for s in table["IoU@all"][:-1]], original["per_class"], ORDER_TOLERANCE)
        case.expect("mIoU", metrics["mIoU@all"], original["mIoU"], ORDER_TOLERANCE)
        case.expect("IoU", metrics["IoU@all"], original["IoU"], ORDER_TOLERANCE)
        ours = [0.0 if math.isnan(s.value) else s.value for s in table["IoU/occstudio@all"]]
        case.expect("occstudio classes", ours[:-1], model["per_class"], MODEL_TOLERANCE)
        for key in ("mIoU", "mIoU_D", "IoU"):
            case.expect(f"{key}/occstudio", metrics[f"{key}/occstudio@all"], model[key], MODEL_TOLERANCE)
        yield case


def _openoccupancy(golden: dict, arrays: Any) -> Iterator[Case]:
    space = OPENOCCUPANCY
    order = [space.free, *range(1, space.free)]
    for name, expected in golden.items():
        case = Case(f"openoccupancy/{name}")
        keys = [f"openoccupancy/{name}/{i}/" for i in range(expected["frames"])]
        frames = [(_zero_is_free(arrays[k + "pred"], space), _zero_is_free(arrays[k + "gt"], space)) for k in keys]
        state = _voxels_only(space, frames)
        metrics, table = state.compute(), state.class_table()["IoU@all"]
        values = [table[-1].value, *(s.value for s in table[:-1])]
        case.expect("hist", confusion(state.counts, "all")[:-1][np.ix_(order, order)], expected["hist"])
        case.expect("per_class", values, expected["per_class"])
        case.expect("SSC mIoU", metrics["mIoU@all"], expected["SSC_mean"], ORDER_TOLERANCE)
        case.expect("SC IoU", metrics["IoU@all"], expected["SC_iou"])
        yield case


def _waymo(golden: dict, arrays: Any) -> Iterator[Case]:
    space = OCC3D_WAYMO
    for name, expected in golden.items():
        case = Case(f"waymo/{name}")
        mapped = OccupancyEvaluator(space, _OCC3D_GRID, ("miou", "ray_iou"))
        unmapped = OccupancyEvaluator(space, _OCC3D_GRID, ("ray_iou",))
        for i in range(expected["frames"]):
            key = f"{name}/{i}/"
            labels, prediction = arrays[key + "voxel_label"], _volume(arrays[key + "pred"])
            truth = labels.copy()
            for disk, ours in space.disk_ids:
                truth[labels == disk] = ours
            mask = _mask(arrays[key + "infov"]) & _mask(arrays[key + "final_voxel_state"])
            origins = _origin_tuple(arrays[key + "origins"])
            mapped.update(prediction, OccTargets(_volume(truth), _volume(mask), ray_origins=origins), [key])
            unmapped.update(prediction, OccTargets(_volume(labels), ray_origins=origins), [key])
        state = mapped.state()
        for mask_name, section in (("camera", "voxel_masked"), ("all", "voxel_no_mask")):
            values = expected[section]
            _expect_voxels(case, state, mask_name, values)
            found = state.compute()[f"mIoU/14@{mask_name}"]
            case.expect(f"mIoU/14@{mask_name}", found, values["cvtocc_mIoU_without_motorcycle"])
        _expect_rays(case, state, expected["rayiou_free_label_mapped"])
        _expect_rays(case, unmapped.state(), expected["rayiou_upstream_as_is_free23_opaque"])
        yield case


def _caster(golden: dict, arrays: Any) -> Iterator[Case]:
    rays = lidar_rays()
    free = OCC3D_NUSCENES.free
    grid_xyz = arrays["grid"]
    occupied = (_volume(grid_xyz) != free) if grid_xyz.max() > 1 else _volume(grid_xyz).bool()
    origins = torch.from_numpy(arrays["origins"])
    for backend in ("auto", "torch"):
        case = Case(f"caster/{backend}")
        case.expect("rays", rays.numpy(), arrays["lidar_rays"])
        hits = cast_rays(occupied, origins, rays, _OCC3D_GRID, backend=backend)  # type: ignore[arg-type]
        x, y, _ = _OCC3D_GRID.shape
        flat = hits.cell[0].numpy()
        cells = np.stack((flat % x, flat // x % y, flat // (x * y)), axis=-1)
        case.expect("cell", cells, arrays["cell"])
        case.expect("distance", hits.distance[0].numpy(), arrays["dist_m"])
        case.expect("never inside", (~hits.entered).sum(dim=1).numpy(), golden["never_inside"])
        yield case


def _pose(translation: np.ndarray, rotation_wxyz: np.ndarray) -> np.ndarray:
    w, x, y, z = rotation_wxyz / np.linalg.norm(rotation_wxyz)
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = translation
    return matrix


def _origins(golden: dict, arrays: Any) -> Iterator[Case]:
    case = Case("origins")
    scenes = arrays["scene"]
    poses = zip(arrays["ego2global_translation"], arrays["ego2global_rotation_wxyz"])
    global_from_ego = np.stack([_pose(t, q) for t, q in poses])
    ego_from_lidar = _pose(arrays["lidar2ego_translation"], arrays["lidar2ego_rotation_wxyz"])
    found = []
    for frame, scene in enumerate(scenes):
        members = np.flatnonzero(scenes == scene)
        mounts = np.broadcast_to(ego_from_lidar, (len(members), 4, 4))
        found.append(lidar_origins(global_from_ego[members], mounts, int((members < frame).sum())))
    case.expect("origins per frame", [len(o) for o in found], golden["counts"])
    case.expect("origins", np.concatenate(found), arrays["origins"], ORIGIN_TOLERANCE)
    yield case
