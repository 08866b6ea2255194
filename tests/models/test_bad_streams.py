"""A model that is fed what does not fit says which frame, which tensor and which shapes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from mmdet3d_plugin.apis import OccupancyPredictor
from mmdet3d_plugin.config import load_config
from mmdet3d_plugin.engine.example import example_frame
from mmdet3d_plugin.errors import StreamError
from mmdet3d_plugin.models.temporal import ConcatHistory, GDFusion
from mmdet3d_plugin.parity import recipe
from mmdet3d_plugin.structures import Frame, OccBatch, TemporalState, Volume, VoxelGrid

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "synthetic" / "alocc_2d_mini_tiny.py"
SIZE = (64, 96)


@pytest.fixture(scope="module")
def predictor():
    cfg = load_config(CONFIG)
    for stage in (cfg.model.network.view_transformer, cfg.model.network.temporal):
        stage.grid.shape = (40, 40, 1)
    return OccupancyPredictor(cfg, device="cpu")


@pytest.fixture
def play(predictor):
    """Plays frames, by the predictor or by the model itself."""
    predictor.reset()
    return predictor


def frame(t: int, lanes: int = 1) -> Frame:
    return example_frame(load_config(CONFIG), t, SIZE, lanes)


def without_last_camera(whole: Frame) -> Frame:
    rig = whole.rig
    parts = {name: getattr(rig, name)[:, :-1] for name in ("ego_from_cam", "pixel_from_cam", "crop_from_pixel")}
    return dataclasses.replace(whole, images=whole.images[:, :-1], rig=dataclasses.replace(rig, **parts))


def test_frames_out_of_order_are_refused_by_name(play):
    play(frame(0))
    play(frame(2))
    with pytest.raises(StreamError, match=r"frame example-0-1 is not later than frame example-0-2"):
        play(frame(1))
    play(frame(3))  # the stream is as it was


def test_a_model_that_is_called_directly_refuses_them_too(play):
    with torch.inference_mode():
        play.model(OccBatch((frame(0),)), mode="predict")
        play.model(OccBatch((frame(1),)), mode="predict")
        with pytest.raises(StreamError, match="not later"):
            play.model(OccBatch((frame(1),)), mode="predict")


def test_a_sequence_that_changes_without_saying_so_is_refused(play):
    play(frame(0))
    other = frame(1)
    other.meta.sequence_id = other.meta.sequence_id + 4
    with pytest.raises(StreamError, match=r"(?s)frame example-0-1 is of another sequence.*sequence_id 4 after 0"):
        play(other)
    other.meta.starts_sequence = ~other.meta.starts_sequence
    play(other)


def test_a_camera_that_is_missing_is_noticed(play):
    play(frame(0))
    with pytest.raises(StreamError, match=r"(?s)frame example-0-1 has another number of cameras.*5 cameras after 6"):
        play(without_last_camera(frame(1)))
    broken = dataclasses.replace(frame(1), images=frame(1).images[:, :-1])
    with pytest.raises(StreamError, match=r"(?s)rig\.ego_from_cam \(1, 6, 4, 4\), images \(1, 5, 3, 64, 96\)"):
        play(broken)
    play(without_last_camera(frame(0)))  # a sequence may start with five


def test_lanes_cannot_come_and_go(play):
    play(frame(0))
    with pytest.raises(StreamError, match="2 lanes after 1"):
        play(frame(1, lanes=2))
    play.reset()
    play(frame(0, lanes=2))


def test_the_network_alone_names_a_memory_of_another_batch_size(predictor):
    network = predictor.model.network.eval()
    with torch.inference_mode():
        _, state = network(recipe.frame(0, SIZE, seed=1, batch=2), TemporalState())
        with pytest.raises(StreamError, match=r"(?s)'temporal' is of another batch size.*2 lanes, images of 1"):
            network(recipe.frame(1, SIZE, seed=1), state)


@pytest.mark.parametrize("method", ["concat", "voxel", "scene"])
def test_a_memory_of_another_grid_is_named_with_both_shapes(method):
    def fuser(cells: int, channels: int):
        grid = VoxelGrid((-4.0, -4.0, -1.0), (4.0, 4.0, 1.0), (cells, cells, 1))
        module = {
            "concat": lambda: ConcatHistory(channels, grid, num_frames=2),
            "voxel": lambda: GDFusion(
                channels, grid, voxel={"type": "RecurrentFusion"}, motion={"type": "MotionField"}
            ),
            "scene": lambda: GDFusion(channels, grid, scene={"type": "SceneAdapter"}),
        }[method]()
        return module.eval(), Volume(torch.randn(1, channels, 1, cells, cells), grid)

    module, volume = fuser(8, 4)
    now = recipe.frame(0, SIZE, seed=1)
    with torch.inference_mode():
        _, memory = module(volume, now, None)
        module(volume, recipe.frame(1, SIZE, seed=1), memory)
        other, coarse = fuser(8, 6) if method == "scene" else fuser(6, 4)
        with pytest.raises(StreamError, match=r"another shape(?s:.*)found: +\(1, (.*)\)(?s:.*)expected: +\(1, (.*)\)"):
            other(coarse, recipe.frame(1, SIZE, seed=1), memory)
