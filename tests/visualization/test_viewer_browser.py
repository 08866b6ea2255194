"""The viewer in a real browser: what it draws, and that every control does what it says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from browser import Browser, find_chromium
from PIL import Image
from street import example

from mmdet3d_plugin.structures import OCC3D_NUSCENES as SPACE
from mmdet3d_plugin.structures import VoxelGrid
from mmdet3d_plugin.visualization import write_report
from mmdet3d_plugin.visualization.views import NOTHING, ReportData, difference

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no Chromium or Chrome is installed")


def surface(taken: np.ndarray) -> int:
    """Voxels of a boolean volume with at least one free neighbour."""
    padded = np.pad(taken, 1)
    inside = np.ones_like(taken)
    for axis in range(3):
        for shift in (-1, 1):
            inside &= np.roll(padded, shift, axis)[1:-1, 1:-1, 1:-1]
    return int((taken & ~inside).sum())


def occupied(labels: np.ndarray) -> np.ndarray:
    return (labels != SPACE.free) & (labels != SPACE.ignore)


def middle_of_the_street() -> ReportData:
    """The example within 16 m: software rendering of the whole grid takes seconds a picture."""
    full = example(2, 3)
    near = np.s_[:, 60:140, 60:140]
    scenes = [
        dataclasses.replace(
            scene,
            frames=[
                dataclasses.replace(
                    f, ground_truth=f.ground_truth[near], prediction=f.prediction[near], mask_camera=f.mask_camera[near]
                )
                for f in scene.frames
            ],
        )
        for scene in full.scenes
    ]
    grid = VoxelGrid((-16.0, -16.0, -1.0), (16.0, 16.0, 5.4), (80, 80, 16))
    return dataclasses.replace(full, grid=grid, scenes=scenes)


@pytest.fixture(scope="module")
def data():
    return middle_of_the_street()


@pytest.fixture(scope="module")
def path(data, tmp_path_factory):
    return write_report(tmp_path_factory.mktemp("viewer") / "index.html", data)


@pytest.fixture(scope="module")
def opened(path):
    with Browser((1200, 520)) as page:
        page.open(path)
        yield page


@pytest.fixture
def page(opened):
    """The viewer as it is after loading."""
    opened.run("play(false), lookFrom('bird'), setObserved(false), setMode('all'), showFrame(0, 0)")
    yield opened
    assert opened.errors == []


def drawn(page: Browser, kind: str) -> int:
    return int(page.run(f"document.documentElement.dataset.{kind}Voxels"))


def test_every_pane_draws_exactly_the_surface(page, data):
    frame = data.scenes[0].frames[0]
    assert page.run("document.documentElement.dataset.state") == "ready"
    assert drawn(page, "truth") == surface(occupied(frame.ground_truth))
    assert drawn(page, "prediction") == surface(occupied(frame.prediction))
    compared = difference(frame.ground_truth, frame.prediction, SPACE) != NOTHING
    assert drawn(page, "difference") == surface(compared)


def test_the_picture_shows_the_road_where_it_should(page, tmp_path):
    page.wait("!redrawAsked")
    page.screenshot(tmp_path / "a.png")
    image = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).astype(int)
    magenta = (image[..., 0] > 150) & (image[..., 2] > 150) & (image[..., 1] < 110)
    left, top = (int(page.run(f"document.getElementById('canvas').getBoundingClientRect().{k}")) for k in ("x", "y"))
    share = []
    for pane in range(3):
        x, y, w, h = (int(page.run(f"panes[{pane}].{key}")) for key in ("x", "y", "width", "height"))
        share.append(magenta[top + y : top + y + h, left + x : left + x + w].mean())
    assert share[0] > 0.02
    assert share[1] > 0.02
    assert share[2] < share[0] / 10  # statuses; violet is near


@pytest.mark.parametrize("size", [(1400, 300), (600, 500), (300, 900)])
def test_panes_fill_the_canvas_without_overlap(page, size):
    covered = np.zeros(size, int)
    for box in page.run(f"arrange(3, {size[0]}, {size[1]})"):
        covered[box["x"] : box["x"] + box["width"], box["y"] : box["y"] + box["height"]] += 1
    assert (covered == 1).all()


def test_the_mask_hides_what_no_camera_sees(page, data):
    frame = data.scenes[0].frames[0]
    page.press("m")
    assert drawn(page, "truth") == surface(occupied(frame.ground_truth) & frame.mask_camera)
    page.press("m")
    assert drawn(page, "truth") == surface(occupied(frame.ground_truth))


def test_a_click_on_the_legend_hides_a_class_and_a_double_click_shows_it_alone(page, data):
    frame = data.scenes[0].frames[0]
    entry = "document.querySelector('#legend .entry[title=\"driveable surface\"]')"
    road = frame.ground_truth == SPACE.index("driveable_surface")
    page.run(f"{entry}.dispatchEvent(new MouseEvent('click', {{detail: 1}}))")
    assert drawn(page, "truth") == surface(occupied(frame.ground_truth) & ~road)
    page.run(f"{entry}.dispatchEvent(new MouseEvent('click', {{detail: 1}}))")
    page.run(f"{entry}.dispatchEvent(new MouseEvent('dblclick'))")
    assert drawn(page, "truth") == surface(road)
    page.press("a")
    assert drawn(page, "truth") == surface(occupied(frame.ground_truth))


def test_keys_step_through_frames_and_scenes(page, data):
    page.press("ArrowRight")
    page.wait("document.getElementById('counter').textContent === '2 / 3'")
    expected = surface(occupied(data.scenes[0].frames[1].ground_truth))
    page.wait(f"document.documentElement.dataset.truthVoxels === '{expected}'")
    page.press("]")
    expected = surface(occupied(data.scenes[1].frames[0].ground_truth))
    page.wait(f"document.documentElement.dataset.truthVoxels === '{expected}'")
    assert page.run("document.getElementById('scene').selectedOptions[0].textContent") == data.scenes[1].name
    assert page.run("document.getElementById('token').textContent") == data.scenes[1].frames[0].token


def test_play_runs_through_the_scene(page):
    page.run("document.getElementById('speed').value = '8'")
    page.press(" ")
    page.wait("document.getElementById('counter').textContent === '3 / 3'")
    page.wait("document.getElementById('counter').textContent === '1 / 3'")
    page.press(" ")
    assert page.run("state.playing") is False


@pytest.mark.parametrize(("key", "shown"), [("1", "truth"), ("2", "prediction"), ("3", "difference")])
def test_a_digit_shows_one_pane(page, key, shown):
    page.press(key)
    assert page.run("panes.filter((p) => p.shown).map((p) => p.key).join()") == shown
    page.press("4")
    assert page.run("panes.filter((p) => p.shown).length") == 3


def test_the_pointer_names_the_voxel_below_it(page):
    page.press("1")
    page.press("b")
    # A point of the road; where it is on the screen, the matrix of the camera says.
    page.run(
        "window.probe = (() => { const p = [10.2, 0.2, 0, 1];"
        "const m = camera.clipFromWorld(panes[0].width / panes[0].height);"
        "const c = [0, 1, 3].map((r) => p.reduce((s, v, k) => s + m[4 * k + r] * v, 0));"
        "const b = document.getElementById('canvas').getBoundingClientRect();"
        "return [b.left + (c[0] / c[2] + 1) / 2 * b.width, b.top + (1 - c[1] / c[2]) / 2 * b.height]; })()"
    )
    x, y = (int(page.run(f"window.probe[{i}]")) for i in range(2))
    page.mouse("mouseMoved", x, y)
    page.wait("!document.getElementById('tooltip').hidden")
    text = page.run("document.getElementById('tooltip').textContent")
    assert "driveable_surface" in text
    where = dict(zip("xy", (float(v) for v in text.split("x ")[1].replace("y", "").replace("z", "").split()[:2])))
    assert where["x"] == pytest.approx(10.2, abs=0.85)
    assert where["y"] == pytest.approx(0.2, abs=0.85)


def test_dragging_turns_and_the_wheel_zooms(page):
    before = page.run("[camera.azimuth, camera.distance].join()")
    page.mouse("mousePressed", 600, 400, button="left", clickCount=1)
    page.mouse("mouseMoved", 700, 400, button="left", buttons=1)
    page.mouse("mouseReleased", 700, 400, button="left", clickCount=1)
    page.mouse("mouseWheel", 600, 400, deltaX=0, deltaY=-200)
    page.wait(f"[camera.azimuth, camera.distance].join() !== '{before}'")
    page.wait(f"camera.distance < {before.split(',')[1]}")
    assert float(page.run("camera.azimuth")) < float(before.split(",")[0])


def test_banner_table_curve_and_protocol_are_there(page):
    assert page.run("document.getElementById('banner').offsetHeight") > 20
    assert "31.27" in page.run("document.querySelector('#results table').textContent")
    assert page.run("document.querySelectorAll('#results td.best').length") >= 3
    assert page.run("document.querySelectorAll('#curve path.mean').length") == 1
    assert "Occ3D-nuScenes" in page.run("document.getElementById('protocol').textContent")
    assert page.run("[...document.querySelectorAll('#cameras img')].filter((i) => i.naturalWidth > 0).length") == 6


def test_a_bare_report_of_a_lidar_frame_opens(data, tmp_path):
    frame = dataclasses.replace(data.scenes[0].frames[0], mask_camera=None, images=[])
    scene = dataclasses.replace(data.scenes[0], frames=[frame])
    bare = dataclasses.replace(data, scenes=[scene], curve=None, results=None, synthetic=False, frame="lidar")
    with Browser((1200, 520)) as page:
        page.open(write_report(tmp_path / "bare.html", bare))
        assert page.run("document.documentElement.dataset.state") == "ready"
        assert page.run("document.getElementById('banner').offsetHeight") == 0
        assert page.run("document.getElementById('observed').offsetHeight") == 0
        assert page.errors == []
