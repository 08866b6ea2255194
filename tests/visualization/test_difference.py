from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from street import GRID, example

from mmdet3d_plugin.errors import DataError
from mmdet3d_plugin.structures import OCC3D_NUSCENES as SPACE
from mmdet3d_plugin.visualization.views import (
    CORRECT,
    HALLUCINATED,
    MISSED,
    NOTHING,
    WRONG_CLASS,
    FrameView,
    check_frame,
    difference,
    forward_yaw,
)

CAR, BUS, FREE, IGNORE = SPACE.index("car"), SPACE.index("bus"), SPACE.free, SPACE.ignore


def test_every_pair_of_labels_has_its_status():
    truth = np.array([[[CAR, CAR, CAR, FREE, FREE, IGNORE]]], np.uint8)
    prediction = np.array([[[CAR, BUS, FREE, CAR, FREE, CAR]]], np.uint8)
    expected = [CORRECT, WRONG_CLASS, MISSED, HALLUCINATED, NOTHING, NOTHING]
    assert difference(truth, prediction, SPACE).ravel().tolist() == expected


def test_voxels_outside_of_the_mask_are_not_compared():
    truth, prediction = np.full((1, 1, 2), CAR, np.uint8), np.full((1, 1, 2), FREE, np.uint8)
    status = difference(truth, prediction, SPACE, np.array([[[True, False]]]))
    assert status.ravel().tolist() == [MISSED, NOTHING]


@given(st.lists(st.tuples(st.sampled_from([*range(18)]), st.sampled_from([*range(18)])), min_size=1))
def test_swapping_truth_and_prediction_swaps_missed_and_hallucinated(pairs):
    truth, prediction = (np.array(column, np.uint8).reshape(1, 1, -1) for column in zip(*pairs))
    there, back = difference(truth, prediction, SPACE), difference(prediction, truth, SPACE)
    swap = np.arange(256)
    swap[[MISSED, HALLUCINATED]] = HALLUCINATED, MISSED
    assert (swap[there] == back).all()


def test_a_prediction_on_another_grid_is_named():
    view = FrameView("abc", np.zeros(GRID.zyx, np.uint8), np.zeros((2, 2, 2), np.uint8))
    with pytest.raises(DataError, match=r"(?s)prediction of scene s, token abc.*\(2, 2, 2\).*\(16, 200, 200\)"):
        check_frame(view, GRID, "scene s, token abc")


def test_an_image_of_floats_is_named():
    volume = np.zeros(GRID.zyx, np.uint8)
    view = FrameView("abc", volume, volume, images=[("CAM_FRONT", np.zeros((4, 4, 3), np.float32))])
    with pytest.raises(DataError, match="CAM_FRONT"):
        check_frame(view, GRID, "token abc")


def test_ego_frames_look_along_x_and_the_lidar_along_y():
    assert forward_yaw("ego_lidar_time") == 0
    assert forward_yaw("ego_cam_front_time") == 0
    assert forward_yaw("lidar") == pytest.approx(np.pi / 2)


def test_the_example_has_all_statuses():
    frame = example(1, 1, images=False).scenes[0].frames[0]
    found = np.unique(difference(frame.ground_truth, frame.prediction, SPACE))
    assert set(found) == {CORRECT, WRONG_CLASS, MISSED, HALLUCINATED, NOTHING}
