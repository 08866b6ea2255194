"""Every shipped config builds, steps, saves and loads; no two say the same."""

from __future__ import annotations

import copy
import difflib
import itertools
from pathlib import Path

import pytest
import torch

from mmdet3d_plugin.apis import build_model, load_checkpoint
from mmdet3d_plugin.config import load_config
from mmdet3d_plugin.structures import (
    AdjacentImages,
    CameraRig,
    Frame,
    FrameMeta,
    OccBatch,
    OccTargets,
    VoxelGrid,
    label_space,
)

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
SHIPPED = sorted(p for p in CONFIGS.rglob("*.py") if "_base_" not in p.parts)
SMALL = (24, 24)  # voxels in x and y instead of 200 or more
IMAGE = (64, 96)


def name_of(path: Path) -> str:
    return path.relative_to(CONFIGS).as_posix()


def one_for_each_model(paths) -> list[Path]:
    """The first config of each model: variants that differ in their data alone train alike here."""
    first: dict[str, Path] = {}
    for path in paths:
        cfg = load_config(path)
        first.setdefault(repr((cfg.model, cfg.label_space, cfg.grid)), path)
    return list(first.values())


def shrink(node):
    """The same config on a coarse grid: every `shape=(x, y, z)` gets fewer voxels in x and y."""
    if isinstance(node, dict):
        if {"lower", "upper", "shape"} <= set(node):
            node["shape"] = (*SMALL, node["shape"][2])
        for child in node.values():
            shrink(child)
    elif isinstance(node, (list, tuple)):
        for child in node:
            shrink(child)
    return node


def moving_voxels(shape, generator) -> torch.Tensor:
    """Velocities in m/s of one voxel of ten, inf elsewhere."""
    flow = torch.randn(shape, generator=generator) * 5
    labelled = torch.rand((shape[0], 1, *shape[2:]), generator=generator) < 0.1
    return flow.masked_fill(~labelled, torch.inf)


def random_batch(cfg, lanes: int = 1) -> OccBatch:
    generator = torch.Generator().manual_seed(0)
    cameras, (height, width) = 6, IMAGE
    yaw = torch.linspace(0, 5.2, cameras)
    axes = torch.tensor([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    ego_from_cam = torch.eye(4).repeat(lanes, cameras, 1, 1)
    for n, angle in enumerate(yaw):
        c, s = angle.cos(), angle.sin()
        ego_from_cam[:, n, :3, :3] = torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]) @ axes
    ego_from_cam[..., 2, 3] = 1.5
    intrinsics = torch.tensor([[120.0, 0, width / 2], [0, 120.0, height / 2], [0, 0, 1]])
    rig = CameraRig(
        ego_from_cam,
        intrinsics.repeat(lanes, cameras, 1, 1),
        torch.eye(3).repeat(lanes, cameras, 1, 1),
        torch.eye(4).repeat(lanes, 1, 1),
    )
    meta = FrameMeta(
        torch.arange(lanes),
        torch.ones(lanes, dtype=torch.bool),
        torch.eye(4).repeat(lanes, 1, 1),
        torch.zeros(lanes, dtype=torch.float64),
        tuple(f"lane{i}" for i in range(lanes)),
    )

    def images():
        return torch.randint(0, 256, (lanes, cameras, 3, height, width), generator=generator, dtype=torch.uint8)

    adjacent = None
    if cfg.train_dataloader.dataset.get("load_adjacent"):
        adjacent = AdjacentImages(images(), torch.eye(4).repeat(lanes, cameras, 1, 1))
    depth = torch.rand(lanes, cameras, height, width, generator=generator) * 40 + 1
    depth = depth * (torch.rand(depth.shape, generator=generator) < 0.1)
    lidar_depth = depth if cfg.train_dataloader.dataset.depth.get("as_input") else None
    zyx = VoxelGrid.from_config(shrink(copy.deepcopy(dict(cfg.grid)))).zyx
    targets = OccTargets(
        occupancy=torch.randint(
            0, label_space(cfg.label_space).num_classes, (lanes, *zyx), generator=generator, dtype=torch.uint8
        ),
        depth=depth,
        image_semantics=torch.randint(0, 17, depth.shape, generator=generator, dtype=torch.uint8),
        flow=moving_voxels((lanes, 2, *zyx), generator) if label_space(cfg.label_space).flow else None,
    )
    return OccBatch((Frame(images(), rig, meta, adjacent, lidar_depth),), targets)


def test_there_are_shipped_configs():
    assert len(SHIPPED) >= 4


@pytest.mark.parametrize("path", SHIPPED, ids=name_of)
def test_builds_at_full_size(path):
    with torch.device("meta"):
        model = build_model(load_config(path))
    assert sum(p.numel() for p in model.parameters()) > 1e5


@pytest.mark.parametrize("path", one_for_each_model(SHIPPED), ids=name_of)
def test_steps_saves_and_loads_on_a_coarse_grid(path, tmp_path):
    cfg = load_config(path)
    torch.manual_seed(0)
    model = build_model(shrink(copy.deepcopy(cfg._cfg_dict))).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)
    batch = random_batch(cfg)
    losses = model(batch, mode="loss")
    sum(losses.values()).backward()
    assert all(torch.isfinite(v) for v in losses.values())
    without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not without, f"parameters that no loss reaches: {without}"
    optimiser.step()
    file = tmp_path / "model.pth"
    torch.save({"meta": {}, "state_dict": model.state_dict()}, file)
    again = build_model(shrink(copy.deepcopy(cfg._cfg_dict)))
    load_checkpoint(again, file)
    with torch.inference_mode():
        first, second = model.eval()(batch, mode="predict"), again.eval()(batch, mode="predict")
    assert torch.equal(first.occupancy, second.occupancy)
    assert first.occupancy.shape == batch.targets.occupancy.shape


def test_no_two_configs_are_nearly_equal():
    texts = {name_of(p): p.read_text() for p in SHIPPED}
    for a, b in itertools.combinations(texts, 2):
        ratio = difflib.SequenceMatcher(None, texts[a], texts[b], autojunk=False).ratio()
        assert ratio <= 0.9, f"{a} and {b} are {ratio:.0%} equal: move what they share to _base_"
