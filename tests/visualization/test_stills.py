from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image
from street import GRID, example, street

from mmdet3d_plugin.errors import ConfigError
from mmdet3d_plugin.structures import OCC3D_NUSCENES as SPACE
from mmdet3d_plugin.visualization import stills
from mmdet3d_plugin.visualization.stills import (
    WARNING,
    _header,
    compose_panel,
    render_difference,
    render_still,
    view_camera,
    write_stills,
)
from mmdet3d_plugin.visualization.views import STATUS_COLOURS

SMALL = (160, 120)


@pytest.mark.parametrize("view", ["bird", "chase"])
def test_a_still_has_its_size_and_shows_the_road_in_its_colour(view):
    image = render_still(street(), SPACE, GRID, view, SMALL)
    assert image.shape == (120, 160, 3)
    assert image.dtype == np.uint8
    magenta = (image[..., 0] > 150) & (image[..., 2] > 150) & (image[..., 1] < 110)
    assert magenta.mean() > 0.05


def test_free_and_ignored_voxels_are_not_drawn():
    empty = np.full(GRID.zyx, SPACE.free, np.uint8)
    ignored = np.full(GRID.zyx, SPACE.ignore, np.uint8)
    assert (render_still(empty, SPACE, GRID, "bird", SMALL) == render_still(ignored, SPACE, GRID, "bird", SMALL)).all()


def test_the_lidar_frame_shows_the_same_scene_from_behind():
    # The same street with x forward in the ego frame and y forward in the lidar frame: a quarter turn of the volume.
    # The sun does not turn with it, so colours are compared, not their brightness.
    ego = street()
    lidar = np.ascontiguousarray(np.rot90(ego, -1, axes=(1, 2)))  # x forward, y left -> y forward, x right
    a = render_still(ego, SPACE, GRID, "chase", SMALL).astype(float)
    b = render_still(lidar, SPACE, GRID, "chase", SMALL, frame="lidar").astype(float)
    hue = [image / (image.sum(axis=-1, keepdims=True) + 1) for image in (a, b)]
    assert np.abs(hue[0] - hue[1]).max(axis=-1).mean() < 0.02
    turned_wrong = render_still(lidar, SPACE, GRID, "chase", SMALL).astype(float)
    assert np.abs(hue[0] - turned_wrong / (turned_wrong.sum(axis=-1, keepdims=True) + 1)).max(axis=-1).mean() > 0.05


def test_the_bird_sees_the_whole_grid():
    camera = view_camera("bird", GRID)
    right, up, forward = camera.axes()
    scale = np.tan(camera.field_of_view / 2)
    for corner in [(x, y, 0.0) for x in (-40, 40) for y in (-40, 40)]:
        ray = np.subtract(corner, camera.eye)
        assert abs(ray @ right / (ray @ forward)) < scale * 1.25  # panes are 1.25 times as wide as high
        assert abs(ray @ up / (ray @ forward)) < scale


def test_an_unknown_view_is_named():
    with pytest.raises(ConfigError, match="'front'"):
        render_still(street(), SPACE, GRID, "front", SMALL)


def test_a_difference_of_equal_volumes_is_grey():
    frame = example(1, 1, images=False).scenes[0].frames[0]
    same = dataclasses.replace(frame, prediction=frame.ground_truth, mask_camera=None)
    image = render_difference(same, SPACE, GRID, "bird", SMALL).astype(int)
    assert (image.max(axis=-1) - image.min(axis=-1) < 40).all()
    nothing = dataclasses.replace(same, prediction=np.full(GRID.zyx, SPACE.free, np.uint8))
    red = render_difference(nothing, SPACE, GRID, "bird", SMALL).astype(int)
    assert (red[..., 0] - red[..., 1] > 60).mean() > 0.3


def test_the_panel_says_so_when_the_data_are_synthetic(tmp_path):
    data = example(1, 1)
    path = tmp_path / "new" / "panel.png"
    panel = compose_panel(data, data.scenes[0].frames[0], path)
    real = _header(dataclasses.replace(data, synthetic=False), "caption")
    assert (np.asarray(Image.open(path)) == panel).all()
    assert ((panel == WARNING).all(axis=-1)).sum() > 5000
    assert ((real == WARNING).all(axis=-1)).sum() == 0
    for colour in STATUS_COLOURS:
        assert (panel[-70:] == colour).all(axis=-1).any()  # the legend


def test_one_still_per_frame_with_its_scene_in_the_name(tmp_path, monkeypatch):
    monkeypatch.setattr(stills, "PANEL_WIDTH", 480)
    data = example(1, 2, images=False)
    written = write_stills(tmp_path, data, "chase")
    assert [p.name for p in written] == ["scene-0103_000.png", "scene-0103_001.png"]
    first, second = (np.asarray(Image.open(p)) for p in written)
    assert first.shape == second.shape
    assert (first != second).any()
