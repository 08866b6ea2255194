"""Frames that do not follow each other are refused by name, whichever way they reach a model."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from mmdet3d_plugin.errors import StreamError
from mmdet3d_plugin.structures import AdjacentImages, CameraRig, Frame, FrameMeta, StreamOrder


def frame(t: float, *, sequence: int = 0, starts: bool = False, cameras: int = 6, lanes: int = 2) -> Frame:
    """Lane 0 runs undisturbed; what is asked for happens in the last lane."""
    lead = (lanes, cameras)
    rig = CameraRig(*(torch.eye(n).repeat(*lead, 1, 1) for n in (4, 3, 3)), torch.eye(4).repeat(lanes, 1, 1))
    meta = FrameMeta(
        sequence_id=torch.tensor([7] * (lanes - 1) + [sequence]),
        starts_sequence=torch.tensor([False] * (lanes - 1) + [starts]),
        prev_from_ego=torch.eye(4).repeat(lanes, 1, 1),
        time=torch.tensor([100.0 + next(_COUNT)] * (lanes - 1) + [t], dtype=torch.float64),
        token=tuple(f"{'ab'[min(lane, 1)]}{t}" for lane in range(lanes)),
    )
    return Frame(torch.zeros(*lead, 3, 2, 2), rig, meta)


_COUNT = iter(range(10**6))


@pytest.fixture
def order() -> StreamOrder:
    order = StreamOrder()
    order.check(frame(1.0, starts=True))
    return order


def test_frames_in_order_pass(order):
    for t in (1.5, 2.0):
        order.check(frame(t))
    order.check(frame(0.0, sequence=3, starts=True, cameras=6))
    order.check(frame(0.5, sequence=3))


@pytest.mark.parametrize("t", [1.0, 0.5, float("nan")])
def test_time_must_increase_within_a_sequence(order, t):
    with pytest.raises(StreamError, match=rf"(?s)frame b{t} is not later than frame b1\.0 .*after 1\.000000 s"):
        order.check(frame(t))


def test_another_sequence_must_say_that_it_starts(order):
    with pytest.raises(
        StreamError, match=r"(?s)frame b2\.0 is of another sequence .* in lane 1.*sequence_id 5 after 0"
    ):
        order.check(frame(2.0, sequence=5))


def test_a_camera_cannot_get_lost_within_a_sequence(order):
    with pytest.raises(StreamError, match=r"(?s)frame a2\.0 has another number of cameras.*5 cameras after 6"):
        order.check(frame(2.0, cameras=5))


def test_all_lanes_may_start_with_other_cameras(order):
    other = frame(2.0, cameras=5)
    other.meta.starts_sequence = torch.ones(2, dtype=torch.bool)
    order.check(other)


def test_the_number_of_lanes_cannot_change(order):
    with pytest.raises(StreamError, match=r"(?s)number of lanes changed.*3 lanes after 2.*reset"):
        order.check(frame(2.0, lanes=3))
    order.forget()
    order.check(frame(2.0, lanes=3))


@pytest.mark.parametrize("part", ["ego_from_cam", "pixel_from_cam", "adjacent", "lidar_depth"])
def test_every_part_of_a_frame_has_the_same_cameras(order, part):
    good = frame(2.0)
    if part == "adjacent":
        bad = dataclasses.replace(
            good, adjacent=AdjacentImages(torch.zeros(2, 5, 3, 2, 2), torch.eye(4).repeat(2, 5, 1, 1))
        )
    elif part == "lidar_depth":
        bad = dataclasses.replace(good, lidar_depth=torch.zeros(2, 5, 2, 2))
    else:
        bad = dataclasses.replace(good, rig=dataclasses.replace(good.rig, **{part: getattr(good.rig, part)[:, :5]}))
    with pytest.raises(StreamError, match=rf"(?s)frame a2\.0, b2\.0: .*{part}.*than the images.*\(2, 5, .*\(2, 6, "):
        order.check(bad)


def test_a_batch_on_its_way_to_the_model_is_not_counted_twice(order):
    batch = frame(2.0)
    order.admit(batch)
    order.check(batch.clone())  # as it arrives on the device
    with pytest.raises(StreamError, match="not later"):
        order.check(batch.clone())  # played a second time


def test_a_batch_out_of_order_is_refused_before_it_is_moved(order):
    with pytest.raises(StreamError, match="not later"):
        order.admit(frame(0.5))


def test_a_refused_frame_is_not_remembered(order):
    with pytest.raises(StreamError, match="not later"):
        order.check(frame(0.5))
    order.check(frame(1.5))


def test_values_that_are_not_on_the_cpu_are_not_read(order):
    moved = frame(0.5)
    moved.meta.time = moved.meta.time.to("meta")
    order.check(moved)
