"""The HTML file as text: complete, self-contained, and lossless for a reader that knows only the format."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import math
import re
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from street import GRID, example

from mmdet3d_plugin.visualization import write_report
from mmdet3d_plugin.visualization.report import render_html

VOID = {"meta", "link", "input", "img", "br", "hr", "path", "circle"}


class Page(HTMLParser):
    """Tags must close in order; remembers addresses and the content of scripts."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.open, self.addresses, self.ids, self.scripts = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.addresses += [v for k, v in attributes if k in ("src", "href", "action", "data") and v]
        self.ids += [values["id"]] if "id" in values else []
        if tag == "script":
            self.scripts.append([values, ""])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.addresses += [v for k, v in attributes if k in ("src", "href") and v]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1][1] += data


def manifest_of(page: Page) -> dict:
    return json.loads(next(text for values, text in page.scripts if values.get("id") == "report-data"))


@pytest.fixture(scope="module")
def data():
    return example(2, 2)


@pytest.fixture(scope="module")
def html(data) -> str:
    return render_html(data)


@pytest.fixture(scope="module")
def page(html) -> Page:
    return Page(html)


def test_the_page_is_well_formed_and_every_id_the_script_asks_for_exists(page):
    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)
    asked = set(re.findall(r"\$\(\"([\w-]+)\"\)", page.scripts[-1][1]))
    assert asked
    assert asked <= set(page.ids)


def test_the_page_needs_no_network(html, page):
    assert "://" not in html
    assert page.addresses == ["data:,"]
    assert not re.search(r"\b(fetch|XMLHttpRequest|importScripts|WebSocket|EventSource)\b|@import|url\(", html)


def test_all_marks_of_the_template_are_filled(html):
    assert "{{" not in html.replace("`${", "")


def unpack(text: str, dtype=np.uint8) -> np.ndarray:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype)


def test_volumes_come_back_as_they_went_in(data, page):
    manifest = manifest_of(page)
    assert [s["name"] for s in manifest["scenes"]] == [s.name for s in data.scenes]
    for written, scene in zip(manifest["scenes"], data.scenes):
        assert [f["token"] for f in written["frames"]] == [f.token for f in scene.frames]
        for frame, view in zip(written["frames"], scene.frames):
            assert (unpack(frame["truth"]).reshape(GRID.zyx) == view.ground_truth).all()
            assert (unpack(frame["prediction"]).reshape(GRID.zyx) == view.prediction).all()
            mask = np.unpackbits(unpack(frame["mask"]), bitorder="little").astype(bool)
            assert (mask[: GRID.num_voxels].reshape(GRID.zyx) == view.mask_camera).all()


def test_images_come_back_in_order_and_nearly_as_they_went_in(data, page):
    written = manifest_of(page)["scenes"][0]["frames"][0]["images"]
    views = data.scenes[0].frames[0].images
    assert [name for name, _ in written] == [name for name, _ in views]
    for (_, code), (_, image) in zip(written, views):
        decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(code)))).astype(int)
        assert decoded.shape == image.shape
        assert np.abs(decoded - image).mean() < 4  # also: not BGR


def test_wide_images_are_made_smaller():
    data = example(1, 1)
    wide = [("CAM_FRONT", np.zeros((900, 1600, 3), np.uint8))]
    frame = dataclasses.replace(data.scenes[0].frames[0], images=wide)
    scene = dataclasses.replace(data.scenes[0], frames=[frame])
    text = render_html(dataclasses.replace(data, scenes=[scene]))
    code = manifest_of(Page(text))["scenes"][0]["frames"][0]["images"][0][1]
    assert Image.open(io.BytesIO(base64.b64decode(code))).size == (480, 270)


def test_grid_labels_results_and_curve_are_those_of_the_report(data, page):
    manifest = manifest_of(page)
    assert manifest["synthetic"] is True
    assert manifest["grid"]["shape"] == list(GRID.shape)
    assert manifest["grid"]["size"] == pytest.approx(GRID.voxel_size)
    assert manifest["space"]["classes"] == list(data.space.classes)
    assert manifest["space"]["free"] == data.space.free
    row = manifest["results"]["rows"][1]
    assert row["name"] == "majority label"
    assert row["metrics"]["mIoU@camera"] == 0.12
    assert row["metrics"]["mAVE"] is None  # NaN: nothing was scored
    assert ["mask", "camera"] in manifest["results"]["protocol"]
    assert manifest["curve"]["unit"] == "samples"
    assert manifest["curve"]["values"]["loss"] == pytest.approx(data.curve.values["loss"].tolist(), rel=1e-5)


def test_a_long_curve_is_thinned():
    data = example(1, 1, images=False)
    position = np.arange(100_000)
    curve = dataclasses.replace(data.curve, position=position, values={"loss": np.full(100_000, math.nan)})
    written = manifest_of(Page(render_html(dataclasses.replace(data, curve=curve))))["curve"]
    assert len(written["position"]) == len(written["values"]["loss"]) <= 2000
    assert set(written["values"]["loss"]) == {None}


def test_a_title_cannot_break_out_of_the_page():
    title = "</script><script>alert(1)</script> {{DATA}} /*{{SCRIPT}}*/"
    page = Page(render_html(dataclasses.replace(example(1, 1, images=False), title=title)))
    assert len(page.scripts) == 2
    assert manifest_of(page)["title"] == title


def test_a_report_without_curve_results_masks_and_images_is_valid():
    data = dataclasses.replace(example(1, 1, images=False), curve=None, results=None, synthetic=False)
    frame = dataclasses.replace(data.scenes[0].frames[0], mask_camera=None)
    scene = dataclasses.replace(data.scenes[0], frames=[frame])
    manifest = manifest_of(Page(render_html(dataclasses.replace(data, scenes=[scene]))))
    assert (manifest["curve"], manifest["results"], manifest["synthetic"]) == (None, None, False)
    assert manifest["scenes"][0]["frames"][0]["mask"] is None


def test_the_file_is_written_whole_and_stays_small(tmp_path):
    path = write_report(tmp_path / "new" / "index.html", example(2, 8))
    assert [p.name for p in path.parent.iterdir()] == ["index.html"]
    assert path.stat().st_size < 15e6
    assert path.read_text().rstrip().endswith("</html>")
