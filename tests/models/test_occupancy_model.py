"""What the trainable model gives to its network while it trains, and what its streams remember."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from mmdet3d_plugin.config import load_config
from mmdet3d_plugin.errors import ConfigError
from mmdet3d_plugin.parity import find_config
from mmdet3d_plugin.registry import MODELS
from mmdet3d_plugin.structures import CameraRig, Frame, FrameMeta, OccBatch, OccTargets

ZYX = (16, 24, 24)
IMAGE = (64, 96)


@pytest.fixture(scope="module")
def flow_model():
    """ALOcc with a flow branch on a coarse grid, in training mode but for statistics and dropout."""
    cfg = load_config(find_config("aloccflow_2d_tiny")).model
    for stage in (cfg.network.view_transformer, cfg.network.temporal):
        stage.grid.shape = (24, 24, 1)
    torch.manual_seed(0)
    return MODELS.build(cfg)


def batch(t: int, starts: bool, **replaced) -> OccBatch:
    """Random images, labels and velocities of one lane; the cameras look along the axes of the ego frame."""
    generator = torch.Generator().manual_seed(t)
    height, width = IMAGE
    ego_from_cam = torch.eye(4).repeat(1, 6, 1, 1)
    axes = torch.tensor([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    for number, angle in enumerate(torch.arange(6) * 1.047):
        c, s = angle.cos(), angle.sin()
        ego_from_cam[0, number, :3, :3] = torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]) @ axes
    intrinsics = torch.tensor([[60.0, 0, width / 2], [0, 60.0, height / 2], [0, 0, 1]])
    rig = CameraRig(ego_from_cam, intrinsics.repeat(1, 6, 1, 1), torch.eye(3).repeat(1, 6, 1, 1), torch.eye(4)[None])
    motion = torch.eye(4)[None].clone()
    motion[0, 0, 3] = 3.0
    time = torch.full((1,), 0.5 * t, dtype=torch.float64)
    meta = FrameMeta(torch.zeros(1, dtype=torch.int64), torch.tensor([starts]), motion, time, (f"t{t}",))
    images = torch.randint(0, 256, (1, 6, 3, height, width), generator=generator, dtype=torch.uint8)
    depth = torch.rand(1, 6, height, width, generator=generator) * 40 + 1
    flow = torch.randn(1, 2, *ZYX, generator=generator)
    flow[:, :, torch.rand(ZYX, generator=generator) < 0.9] = torch.inf
    targets = OccTargets(
        occupancy=torch.randint(0, 17, (1, *ZYX), generator=generator, dtype=torch.uint8),
        flow=flow,
        depth=depth,
        image_semantics=torch.randint(0, 17, depth.shape, generator=generator, dtype=torch.uint8),
    )
    return OccBatch((Frame(images, rig, meta),), dataclasses.replace(targets, **replaced))


def run(model, *batches):
    """Flow of the last frame of a fresh training stream, with the running statistics of evaluation."""
    model.train()
    for module in model.modules():
        if isinstance(module, (torch.nn.modules.batchnorm._BatchNorm, torch.nn.Dropout)):
            module.eval()
    model.reset_stream()
    with torch.no_grad():
        outputs = [model(b, mode="tensor").prediction.flow for b in batches]
    return outputs[-1]


def test_the_true_match_is_given_while_training_and_only_at_a_positive_rate(flow_model):
    frames = [batch(0, True), batch(1, False)]
    other = [batch(0, True), batch(1, False, occupancy=torch.zeros(1, *ZYX, dtype=torch.uint8))]
    plain = run(flow_model, *frames)
    assert torch.equal(plain, run(flow_model, *other))
    try:
        flow_model.schedule.flow_denoise_rate = 1.0
        guided = run(flow_model, *frames)
        assert flow_model.stream.get("head").truth is not None
        assert not torch.allclose(guided, plain)
        assert not torch.allclose(guided, run(flow_model, *other))
        flow_model.reset_stream()
        with pytest.raises(ConfigError, match="flow denoising needs occupancy labels"):
            flow_model.train()(batch(0, True, occupancy=None), mode="tensor")
        flow_model.eval()
        flow_model.reset_stream()
        with torch.inference_mode():
            unguided = [flow_model(OccBatch(b.frames), mode="predict").flow for b in frames]
        torch.testing.assert_close(unguided[1], plain)
    finally:
        flow_model.schedule.flow_denoise_rate = 0.0


def test_the_head_remembers_also_while_history_is_off(flow_model):
    """The schedule of the history empties the temporal stage alone (golden/README, quirk 14)."""
    try:
        flow_model.schedule.use_history = False
        run(flow_model, batch(0, True), batch(1, False))
        assert list(flow_model.stream.memories) == ["head"]
        assert flow_model.stream.get("head").age.tolist() == [2]
    finally:
        flow_model.schedule.use_history = True


def test_the_state_of_the_stream_survives_a_checkpoint(flow_model):
    first, second = batch(0, True), batch(1, False)
    expected = run(flow_model, first, second)
    run(flow_model, first)
    saved = flow_model.stream_state_dict()
    flow_model.reset_stream()
    flow_model.load_stream_state_dict(saved, "cpu")
    with torch.no_grad():
        assert torch.equal(flow_model(second, mode="tensor").prediction.flow, expected)
    assert not torch.equal(run(flow_model, second), expected)


def test_all_losses_of_flow_are_finite_and_reach_every_parameter(flow_model):
    flow_model.train()
    flow_model.reset_stream()
    flow_model(batch(0, True), mode="loss")
    losses = flow_model(batch(1, False), mode="loss")
    assert {"loss_flow", "loss_flow_cosine", "loss_flow_bins"} < losses.keys()
    sum(losses.values()).backward()
    without = [n for n, p in flow_model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    flow_model.zero_grad(set_to_none=True)
    assert not without
