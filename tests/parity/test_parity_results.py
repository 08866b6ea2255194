"""Results of comparisons survive their file, an early end and a killed process; the page says what they say."""

from __future__ import annotations

import dataclasses
import json
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from mmdet3d_plugin.errors import DataError, EvaluationError
from mmdet3d_plugin.parity import Comparison, cli, members, processes, results
from mmdet3d_plugin.parity.members import figures_of, published_stems
from mmdet3d_plugin.parity.page import parity_page
from mmdet3d_plugin.parity.results import ParityResult, Recorder

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "analysis_tools" / "parity_page.py"
PUBLISHED, UNMASKED = (f"bevdetocc_r50_256x704_bevdet_pretrain_solofusion_16f{end}" for end in ("", "_wo_mask"))
RESULT = ParityResult(
    config="toy",
    figures="toy",
    seed=3,
    made_with={"torch": "2.13", "device": "cpu", "threads": 2},
    forward=(
        Comparison(0, "stereo_cost_volume", 0.5, 0.1, None),
        Comparison(0, "head_in", 2.04e-3, 1e-4, 1e-2),
        Comparison(1, "head_in", 3e-3, 1e-4, 5e-3),
        Comparison(0, "labels", 1.2e-5, 1.2e-5, 1e-4),
    ),
    losses=(
        Comparison(1, "loss_mask", 2e-6, 2e-6, 1e-3),
        Comparison(1, "total gradient norm", 3e-6, 3e-6, 1e-3),
        Comparison(1, "worst: a.weight", 4e-3, 1e-5, 2e-2),
    ),
)


def with_miss(stage):
    spoilt = tuple(dataclasses.replace(c, worst=1.0) if c.stage == stage else c for c in RESULT.forward)
    return dataclasses.replace(RESULT, forward=spoilt)


class TestVerdict:
    def test_all_gates_met(self):
        assert RESULT.passed

    @pytest.mark.parametrize("stage", ["head_in", "labels"])
    def test_one_gate_missed(self, stage):
        assert not with_miss(stage).passed

    def test_a_stage_without_gate_cannot_fail(self):
        assert with_miss("stereo_cost_volume").passed

    def test_nothing_compared_or_an_early_end_is_no_pass(self):
        assert not dataclasses.replace(RESULT, forward=(), losses=()).passed
        assert not dataclasses.replace(RESULT, error="something").passed
        assert not ParityResult("toy", None, 0, {}).passed
        assert ParityResult("toy", None, 0, {}, trial={"frames": 2}).passed


class TestFile:
    def test_round_trip(self, tmp_path):
        RESULT.write(tmp_path)
        rounded = dataclasses.replace(RESULT.forward[1], worst=2e-3)
        expected = dataclasses.replace(RESULT, forward=(RESULT.forward[0], rounded, *RESULT.forward[2:]))
        assert ParityResult.read(tmp_path / "toy.json") == expected
        assert len((tmp_path / "toy.json").read_text().splitlines()) < 30

    @pytest.mark.parametrize("content", ["", "{}", '{"forward": [], "losses": [], "surprise": 1}', "[1]"])
    def test_damage_is_named(self, tmp_path, content):
        (tmp_path / "toy.json").write_text(content)
        with pytest.raises(DataError, match=r"toy\.json is no result"):
            ParityResult.read(tmp_path / "toy.json")


class TestRecorder:
    @pytest.fixture(autouse=True)
    def figures(self, monkeypatch, tmp_path):
        monkeypatch.setattr(results, "figures_of", lambda stem, golden: "toy")
        (tmp_path / "forward").mkdir()
        (tmp_path / "forward" / "toy.json").write_text('{"seed": 8}')

    def test_what_came_before_an_error_is_kept(self, monkeypatch, tmp_path):
        def compare(stem, golden, device):
            yield RESULT.forward[1]
            raise EvaluationError("stage logits has another shape")

        monkeypatch.setattr(results, "compare_forward", compare)
        result = Recorder("toy", tmp_path).run()
        assert (result.forward, result.error, result.seed) == (RESULT.forward[1:2], "stage logits has another shape", 8)
        assert not result.passed

    def test_losses_are_compared_where_there_are_figures(self, monkeypatch, tmp_path):
        monkeypatch.setattr(results, "compare_forward", lambda *a: iter(RESULT.forward))
        monkeypatch.setattr(results, "compare_losses", lambda *a: iter(RESULT.losses))
        assert Recorder("toy", tmp_path).run().losses == ()
        (tmp_path / "losses").mkdir()
        (tmp_path / "losses" / "toy.json").write_text("{}")
        result = Recorder("toy", tmp_path).run()
        assert (result.forward, result.losses) == (RESULT.forward, RESULT.losses)
        assert set(result.made_with) == {"occstudio", "torch", "numpy", "python", "device", "threads"}


class TestMembers:
    @pytest.fixture
    def golden(self, tmp_path):
        for stem in (PUBLISHED, UNMASKED, "other"):
            (tmp_path / "manifests").mkdir(exist_ok=True)
            (tmp_path / "manifests" / f"{stem}.json").write_text(
                '{"state_dict": [["a", [2], "float32"]], "aliases": {}}'
            )
        (tmp_path / "forward").mkdir()
        (tmp_path / "forward" / f"{PUBLISHED}.json").write_text("{}")
        return tmp_path

    def test_shipped_configs_with_a_manifest_are_members(self, golden):
        assert published_stems(golden) == [PUBLISHED, UNMASKED]
        with pytest.raises(DataError, match="no golden figures"):
            published_stems(golden / "forward")

    def test_a_config_without_mask_takes_the_figures_of_its_twin_if_the_weights_are_alike(self, golden):
        assert figures_of(PUBLISHED, golden) == figures_of(UNMASKED, golden) == PUBLISHED
        (golden / "manifests" / f"{UNMASKED}.json").write_text('{"state_dict": [["b", [2], "float32"]], "aliases": {}}')
        assert figures_of(UNMASKED, golden) is None


class TestProcesses:
    @pytest.fixture
    def run(self, tmp_path, monkeypatch):
        """Runs configs whose process behaves as the function says; returns the verdict and what was printed."""

        def run(behaviour, stems=("bad", "toy")):
            def start(command, **kwargs):
                stem = command[command.index("--config") + 1]
                status, said = behaviour(stem, tmp_path)
                return subprocess.CompletedProcess(command, status, "", said)

            monkeypatch.setattr(processes.subprocess, "run", start)
            console = Console(record=True, width=200, file=open("/dev/null", "w"))  # noqa: SIM115
            verdict = processes.run_each(stems, Path("golden"), tmp_path, "cpu", console)
            return verdict, console.export_text()

        return run

    @pytest.mark.parametrize(
        ("status", "said", "expected"),
        [
            (-signal.SIGKILL, "", "killed by signal 9, perhaps for memory"),
            (1, "Traceback\nKeyError: 'x'\n", "KeyError: 'x'"),
        ],
    )
    def test_a_process_that_dies_does_not_hide_the_others(self, run, tmp_path, status, said, expected):
        def behaviour(stem, folder):
            if stem == "bad":
                return status, said
            RESULT.write(folder)
            return 0, ""

        passed, printed = run(behaviour)
        assert not passed
        assert expected in printed
        assert "nearest to its gate: head_in 3.0e-03 of 5e-03" in printed
        assert "1 of 2 configs" in printed
        assert expected in ParityResult.read(tmp_path / "bad.json").error

    def test_a_result_of_an_earlier_run_is_not_taken_for_one_of_this(self, run, tmp_path):
        RESULT.write(tmp_path)
        passed, _ = run(lambda stem, folder: (3, "boom"), stems=("toy",))
        assert not passed
        assert ParityResult.read(tmp_path / "toy.json").error == "status 3: boom"

    def test_all_pass(self, run):
        passed, printed = run(lambda stem, folder: (RESULT.write(folder), "")[::-1] and (0, ""), stems=("toy",))
        assert passed
        assert "1 of 1 configs" in printed


def test_out_writes_one_file_for_each_config(tmp_path, monkeypatch):
    class Fake(Recorder):
        def run(self):
            return dataclasses.replace(RESULT, config=self.stem, error="no" if self.stem == "b" else None)

    monkeypatch.setattr(cli, "Recorder", Fake)
    assert cli.main(["golden", "--config", "a", "configs/x/b.py", "--out", str(tmp_path / "new")]) == 1
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["a.json", "b.json"]
    assert cli.main(["golden", "--config", "a", "--out", str(tmp_path / "new")]) == 0


class TestPage:
    @pytest.fixture
    def folder(self, tmp_path):
        folder = tmp_path / "results"
        RESULT.write(folder)
        dataclasses.replace(RESULT, config="toy_wo_mask", losses=()).write(folder)
        ParityResult("untried", None, 0, RESULT.made_with, trial={"frames": 2, "most_frequent": 0.4}).write(folder)
        return folder

    def test_a_row_for_each_config(self, folder):
        page = parity_page(folder)
        assert "**3 of 3 configs pass.** Made with torch 2.13; cpu, threads: 2." in page
        assert "| toy | 2 | 99.9988 % | head_in | 3.0e-03 | 5e-03 | 2.0e-06 | 3.0e-06 | ok |" in page
        assert "| toy_wo_mask (figures of toy) | 2 | 99.9988 % | head_in | 3.0e-03 | 5e-03 | - | - | ok |" in page
        assert "| untried | 2 | - | no figures: loaded strictly and run for 2 frames | - | - | - | - | ok |" in page

    def test_details_tell_the_first_frame_from_the_later_ones(self, folder):
        page = parity_page(folder)
        assert "| head_in | 2.0e-03 | 1e-02 | 3.0e-03 | 5e-03 |" in page
        assert "| stereo_cost_volume | 5.0e-01 | - | - | - |" in page
        assert "| worst: a.weight, frame 1 | 4.0e-03 | 2e-02 |" in page

    def test_a_miss_and_an_early_end_stand_out(self, folder):
        dataclasses.replace(with_miss("head_in"), config="missed").write(folder)
        ParityResult("broken", None, 0, {"device": "cpu", "threads": 1}, error="killed by signal 9").write(folder)
        page = parity_page(folder)
        assert "**3 of 5 configs pass.** Made with ; cpu, threads: 1: broken." in page
        assert "Made with torch 2.13; cpu, threads: 2: missed, toy, toy_wo_mask, untried." in page
        assert page.count("**MISS**") == 2
        assert "killed by signal 9" in page

    def test_no_results_is_an_error(self, tmp_path):
        with pytest.raises(DataError, match="no results"):
            parity_page(tmp_path)

    def test_the_tool_writes_and_checks(self, folder, tmp_path, monkeypatch, capsys):
        def tool(*options):
            monkeypatch.setattr(
                sys, "argv", [str(TOOL), "--results", str(folder), "--out", str(tmp_path / "p.md"), *options]
            )
            with pytest.raises(SystemExit) as left:
                runpy.run_path(str(TOOL), run_name="__main__")
            return left.value.code

        assert tool("--check") == 2
        assert tool() == 0
        assert tool("--check") == 0
        (tmp_path / "p.md").write_text((tmp_path / "p.md").read_text().replace("99.9988", "100.0000"))
        capsys.readouterr()
        assert tool("--check") == 1
        assert "99.9988" in capsys.readouterr().out


def test_the_page_in_the_tree_is_what_its_results_give():
    page, folder = ROOT / "docs" / "parity.md", Path("docs/parity")
    assert parity_page(ROOT / folder).replace(str(ROOT) + "/", "") == page.read_text()
    shipped = {path.stem for path in (ROOT / "configs").glob("[!_]*/*.py")}
    assert {path.stem for path in (ROOT / folder).glob("*.json")} <= shipped


def test_every_published_config_has_results():
    shared = ROOT.parent / "shared" / "golden"
    if not shared.is_dir():
        pytest.skip("golden figures are not beside the repository")
    assert {path.stem for path in (ROOT / "docs" / "parity").glob("*.json")} == set(members.published_stems(shared))


def test_results_are_json_that_any_program_reads(tmp_path):
    RESULT.write(tmp_path)
    content = json.loads((tmp_path / "toy.json").read_text())
    assert content["forward"][0] == [0, "stereo_cost_volume", 0.5, 0.1, None]
