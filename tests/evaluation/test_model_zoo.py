"""The page of measured numbers: grouped by protocol, computed from counts, and as committed."""

from __future__ import annotations

import dataclasses
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from metric_volumes import CAR, FREE, SMALL, SPACE

from mmdet3d_plugin.errors import EvaluationError
from mmdet3d_plugin.evaluation import Protocol, make_result, read_result, write_result
from mmdet3d_plugin.evaluation.miou import empty_voxel_counts
from mmdet3d_plugin.evaluation.model_zoo import model_zoo_page, read_checked
from mmdet3d_plugin.evaluation.state import EvaluationState
from mmdet3d_plugin.evaluation.verdict import Verdict, write_verdict
from mmdet3d_plugin.version import __version__

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "analysis_tools" / "model_zoo.py"


@pytest.fixture
def write(result, tmp_path):
    """Writes the result under a name, with changes of its protocol; returns the path."""

    def write(name, base=result, **changes):
        path = tmp_path / "results" / f"{name}.json"
        write_result(path, dataclasses.replace(base, protocol=dataclasses.replace(base.protocol, **changes)))
        return path

    return write


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """Runs the tool on the results that `write` wrote; returns its exit status."""

    def run(*options):
        monkeypatch.setattr(sys, "argv", [str(TOOL), "--results", str(tmp_path / "results"), *options])
        with pytest.raises(SystemExit) as left:
            runpy.run_path(str(TOOL), run_name="__main__")
        return left.value.code

    return run


@pytest.fixture
def page(tmp_path):
    return lambda: model_zoo_page(tmp_path / "results")


def cars(found, missed, invented):
    """Result of one frame without a camera mask that has nothing but cars and free voxels."""
    counts = empty_voxel_counts(SPACE.num_classes)
    counts["voxels"][0, CAR, CAR] = found
    counts["voxels"][0, CAR, FREE] = missed
    counts["voxels"][0, FREE, CAR] = invented
    counts["voxels"][0, FREE, FREE] = 5
    state = EvaluationState(SPACE, "published", counts, ["token"])
    protocol = Protocol.from_state(
        state, SMALL, dataset="cars val", synthetic=False, training_mask="all", profile="published"
    )
    return make_result(state, protocol)


def tables(text):
    """Every table of a page as a list of rows, each a dict from column to cell."""
    found, last = [], None
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")] if line.startswith("| ") else None
        if cells and last is None:
            found.append([])
            header = cells
        elif cells and cells[0] != "---":
            found[-1].append(dict(zip(header, cells, strict=True)))
        last = cells
    return found


def headings(text):
    return [line for line in text.splitlines() if line.startswith("## ")]


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_small_results_give_the_numbers_of_a_calculation_by_hand(write, page):
    write("good", cars(found=3, missed=1, invented=0))
    write("poor", cars(found=1, missed=3, invented=4))
    metrics, classes = tables(page())
    assert [row["name"] for row in metrics] == ["good", "poor"]
    assert [row["mIoU@all"] for row in metrics] == ["75.00 %", "12.50 %"]  # 3 / 4 and 1 / 8
    assert [row["training_mask"] for row in metrics] == ["all", "all"]
    assert [(row["car"], row["bus"], row["free"]) for row in classes] == [
        ("75.00", "absent", "83.33"),  # 5 / 6
        ("12.50", "absent", "41.67"),  # 5 / 12
    ]


def test_heading_says_what_was_measured(write, page, result):
    write("a")
    (heading,) = headings(page())
    digits = result.protocol.token_hash[:12]
    for part in ("synthetic small val", "Occ3D-nuScenes", "camera and all", "published", "2 frames", "20 x 20 x 4"):
        assert part in heading
    assert "[-4, 4] x [-4, 4] x [-1, 0.6] m" in heading
    assert f"tokens `{digits}`" in heading


def test_a_table_for_each_protocol_and_none_across(write, page):
    write("a/one")
    write("b/other", token_hash="0" * 64)
    write("c/two", profile="published", training_mask="all", package_version="9.9")
    text = page()
    assert len(headings(text)) == 2
    metrics = [table for table in tables(text) if "mIoU@all" in table[0]]
    assert [[row["name"] for row in table] for table in metrics] == [["a/one", "c/two"], ["b/other"]]
    assert [row["package_version"] for row in metrics[0]] == [__version__, "9.9"]


def test_every_metric_with_classes_has_its_table(write, page, result):
    write("a")
    text = page()
    assert [line for line in text.splitlines() if "<summary>" in line] == [
        f"<details><summary>{metric} by class, %</summary>" for metric in result.classes
    ]
    assert len(tables(text)) == 1 + len(result.classes)


def test_synthetic_data_cannot_be_overlooked_and_comes_last(write, page):
    write("a/synthetic")
    write("b/real", synthetic=False)
    text = page()
    real, synthetic = headings(text)
    assert synthetic.startswith("## SYNTHETIC: ")
    assert "SYNTHETIC" not in real
    warning = "> **SYNTHETIC DATA: not comparable with any number measured on a real data set.**"
    assert text.count(warning) == 1
    assert text.index(synthetic) < text.index(warning) < text.index("| a/synthetic")


def test_order_does_not_depend_on_when_files_were_written(write, page, tmp_path):
    names = ["b", "a/z", "c"]
    for name in names:
        write(name, frames=2 + (name == "c"))
    first = page()
    for name in reversed(names):
        (tmp_path / "results" / f"{name}.json").unlink()
        write(name, frames=2 + (name == "c"))
    assert page() == first
    assert first.index("| a/z |") < first.index("| b |") < first.index("| c |")


def test_nothing_scored_is_not_a_number_and_no_error(write, page):
    write("empty", cars(found=0, missed=0, invented=0))
    metrics, classes = tables(page())
    assert metrics[0]["mIoU@all"] == "nothing scored"
    assert classes[0]["car"] == "absent"


def test_bars_in_names_do_not_break_the_table(write, page):
    write("a", profile="left|right")
    assert r"left\|right" in page()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda c: c["metrics"].update({"mIoU@camera": c["metrics"]["mIoU@camera"] + 1e-4}), "mIoU@camera"),
        (lambda c: c["metrics"].update({"mIoU@camera": None}), "mIoU@camera"),
        (lambda c: c["metrics"].update({"mIoU@camera": "0.5"}), "mIoU@camera"),
        (lambda c: c["metrics"].update({"mAVE": 0.1}), "mAVE"),
        (lambda c: c["metrics"].pop("RayIoU"), "RayIoU"),
        (lambda c: c["classes"]["RayIoU@2"][CAR].update(value=0.9), "value of car in RayIoU@2"),
        (lambda c: c["classes"]["IoU@all"][CAR].update(truth=1), "truth of car in IoU@all"),
        (lambda c: c["protocol"].update(mode="corrected"), "ray_hallucination"),
        (lambda c: c["protocol"].update(evaluated_masks=["camera"]), "evaluated_masks"),
        (lambda c: c["protocol"]["classes"].reverse(), "classes"),
    ],
)
def test_an_edited_number_is_found_out(write, page, change, named):
    write("honest")
    edited = write("edited")
    edit(edited, change)
    with pytest.raises(EvaluationError, match="does not follow from the raw counts") as refused:
        page()
    assert f"{named} in result file {edited} " in str(refused.value)


def test_the_last_bit_of_a_number_is_no_edit(write, page):
    path = write("a")
    original = page()
    value = read_result(path).metrics["mIoU@camera"]
    edit(path, lambda c: c["metrics"].update({"mIoU@camera": float(np.nextafter(value, 1))}))
    assert page() == original


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("format"),
        lambda c: c.pop("counts"),
        lambda c: c["counts"].pop("rays_matched"),
        lambda c: c["counts"]["voxels"].update(values=[1, 2]),
        lambda c: c.update(classes=[]),
        lambda c: c["protocol"].pop("mode"),
        lambda c: c["protocol"].update(label_set="nobody's"),
    ],
)
def test_a_file_that_is_no_whole_result_is_named(write, change):
    path = write("a")
    edit(path, change)
    with pytest.raises(EvaluationError, match="cannot enter the model zoo") as refused:
        read_checked(path)
    assert str(path) in str(refused.value)


def test_unreadable_and_missing_files_are_errors(write, page, tmp_path):
    with pytest.raises(EvaluationError, match="no result file below"):
        page()
    path = write("a")
    path.write_text(path.read_text()[:-20])
    with pytest.raises(EvaluationError, match="cannot be read"):
        page()


def test_verdicts_stand_before_the_numbers(write, page, tmp_path):
    write("some/model")
    assert "what toy models must learn" not in page()
    write_verdict(Verdict("memory", "a beats b", "2 % against 1 %", True), tmp_path / "results" / "proofs")
    write_verdict(Verdict("noise", "c beats d", "1 % against 2 %", False), tmp_path / "results" / "proofs")
    table = tables(page())[0]
    assert [list(row.values()) for row in table] == [
        ["`occstudio prove memory`", "a beats b", "2 % against 1 %", "holds"],
        ["`occstudio prove noise`", "c beats d", "1 % against 2 %", "FAILS"],
    ]
    (tmp_path / "results" / "proofs" / "noise.verdict.json").write_text("{}")
    with pytest.raises(EvaluationError, match=r"noise\.verdict\.json is no verdict"):
        page()


def test_tool_writes_the_page_and_says_what_differs(write, tool, page, tmp_path, capsys):
    path, out = write("a"), tmp_path / "zoo.md"
    assert tool("--out", str(out)) == 0
    assert out.read_text() == page()
    assert tool("--out", str(out), "--check") == 0
    capsys.readouterr()
    typed = out.read_text().replace(f"| {__version__} |", "| typed |")
    out.write_text(typed)
    assert tool("--out", str(out), "--check") == 1
    shown = capsys.readouterr().out
    number = next(i for i, line in enumerate(typed.splitlines(), 1) if "| typed |" in line)
    assert f"@@ -{number} +{number} @@" in shown
    assert "\n-| a | corrected | camera | typed |" in shown
    assert f"\n+| a | corrected | camera | {__version__} |" in shown
    assert out.read_text() == typed
    path.unlink()
    assert tool("--out", str(out)) == 2
    assert "no result file below" in capsys.readouterr().err
    assert out.read_text() == typed


def test_the_committed_page_is_made_from_the_committed_results():
    command = "python tools/analysis_tools/model_zoo.py"
    written = (ROOT / "docs" / "model_zoo.md").read_text(encoding="utf-8")
    assert written == model_zoo_page(ROOT / "docs" / "results"), f"run `{command}`"
    assert f"{command} --check" in written
