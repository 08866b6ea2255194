"""Frames under one calibration share one rig object, and with it the geometry that follows from it."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from mmdet3d_plugin.config import load_config
from mmdet3d_plugin.engine.example import example_frame
from mmdet3d_plugin.models.occupancy_model import ToDevice
from mmdet3d_plugin.models.view_transformers import depth_splat
from mmdet3d_plugin.parity import find_config
from mmdet3d_plugin.registry import MODELS
from mmdet3d_plugin.structures import OccBatch


@pytest.fixture(scope="module")
def cfg():
    cfg = load_config(find_config("alocc_2d_mini_tiny"))
    for stage in (cfg.model.network.view_transformer, cfg.model.network.temporal):
        stage.grid.shape = (40, 40, 1)
    return cfg


def frame(cfg, t, shift=0.0):
    """A frame whose tensors are its own, its cameras `shift` metres further ahead."""
    made = example_frame(cfg, t, (64, 96)).clone()
    made.rig.ego_from_cam[..., 0, 3] += shift
    return made


def test_equal_calibrations_become_one_object(cfg):
    to_device = ToDevice()
    rigs = [to_device(OccBatch((frame(cfg, t, shift),)))["batch"].frames[0].rig for t, shift in enumerate((0, 0, 1))]
    assert rigs[0] is rigs[1]
    assert rigs[2] is not rigs[1]
    assert rigs[2].equals(frame(cfg, 2, 1).rig)


def test_a_calibration_written_over_the_one_before_is_noticed(cfg):
    to_device, buffer = ToDevice(), frame(cfg, 0)
    first = to_device(OccBatch((buffer,)))["batch"].frames[0].rig
    kept = first.clone()
    buffer.rig.ego_from_cam[..., 0, 3] += 1
    later = dataclasses.replace(frame(cfg, 1), rig=buffer.rig)
    second = to_device(OccBatch((later,)))["batch"].frames[0].rig
    assert first.equals(kept)
    assert second.equals(buffer.rig)


def test_labels_do_not_depend_on_what_was_kept(cfg, monkeypatch):
    lifted = []
    lift = depth_splat.lift_frustum
    monkeypatch.setattr(depth_splat, "lift_frustum", lambda *given: lifted.append(1) or lift(*given))
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).eval()
    shifts = (0.0, 0.0, 5.0, 5.0)

    def play(forget):
        model.reset_stream()
        lifted.clear()
        outputs = []
        with torch.inference_mode():
            for t, shift in enumerate(shifts):
                batch = model.data_preprocessor(OccBatch((frame(cfg, t, shift),)))["batch"]
                if forget:
                    model.network.view_transformer._frusta.__init__()
                outputs.append(model(batch, mode="tensor").prediction.logits)
        return outputs, len(lifted)

    kept, computed = play(forget=False)
    fresh, always = play(forget=True)
    assert (computed, always) == (2, 4)
    assert all(torch.equal(a, b) for a, b in zip(kept, fresh))
