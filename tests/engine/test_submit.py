"""Submissions from saved predictions: no labels needed, any number of processes, and what is wrong is named."""

from __future__ import annotations

import json
import zipfile
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
import torch
from tqdm import tqdm

from mmdet3d_plugin import cli
from mmdet3d_plugin.datasets.index import load_index
from mmdet3d_plugin.datasets.labels import label_set
from mmdet3d_plugin.engine import submit
from mmdet3d_plugin.engine.submit import check_submission, write_submission
from mmdet3d_plugin.errors import ConfigError, DataError, EvaluationError
from mmdet3d_plugin.evaluation import read_prediction, write_prediction
from mmdet3d_plugin.evaluation.submission import Entrant, submitted_rays
from mmdet3d_plugin.evaluation.submission_pickle import load

VERSION = "v1.0-mini"
DATA = {"version": VERSION, "split": "val"}


@pytest.fixture
def unlabelled(tiny_world, tmp_path) -> Path:
    """The tiny world as a test set: its tables and nothing else."""
    root = tmp_path / "unlabelled"
    root.mkdir()
    for name in (VERSION, "splits.json"):
        (root / name).symlink_to(tiny_world.resolve() / name)
    return root


@pytest.fixture
def predictions(tiny_world, tmp_path) -> Path:
    """The OpenOcc labels of the validation scene with its flow, as predictions; also valid Occ3D ids."""
    labels, folder = label_set("openocc"), tmp_path / "predictions"
    index = load_index(tiny_world.resolve(), VERSION)
    wanted = json.loads((tiny_world / "splits.json").read_text())["val"]
    for row in range(len(index)):
        name = index.name(row)
        if name.scene_name in wanted:
            truth = labels.load(tiny_world, name, training=False)
            flow = np.where(np.isfinite(truth.flow), truth.flow, 0.0)
            write_prediction(folder, name.scene_name, name.token, truth.occupancy, flow)
    return folder


def one(predictions: Path) -> Path:
    return sorted(predictions.glob("*/*.npz"))[1]


@pytest.mark.parametrize("format", submit.FORMATS)
def test_the_number_of_processes_changes_nothing(predictions, unlabelled, tmp_path, format):
    paths = [tmp_path / f"{workers}" for workers in (1, 2)]
    for workers, path in enumerate(paths, start=1):
        assert write_submission(predictions, unlabelled, path, format=format, workers=workers, **DATA) == 4
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert check_submission(paths[0], unlabelled, format=format, **DATA) == 4


def test_rays_are_those_of_the_saved_volumes(predictions, unlabelled, tmp_path):
    out = tmp_path / "submission.gz"
    write_submission(predictions, unlabelled, out, format="openocc", workers=1, entrant=Entrant(team="us"), **DATA)
    content, grid = load(out), label_set("openocc").grid
    assert content["team"] == "us"
    index, file = load_index(unlabelled.resolve(), VERSION), one(predictions)
    origins = index.ray_origins(index.token.tolist().index(file.stem))
    assert len(origins) > 1
    saved = read_prediction(file)
    expected = submitted_rays(file.stem, saved.occupancy, saved.flow, torch.tensor(origins), grid)
    assert content["results"][file.stem].keys() == expected.keys()
    for name, array in expected.items():
        assert np.array_equal(content["results"][file.stem][name], array)
    assert expected["pcd_flow"].any()


def test_volumes_are_those_of_the_saved_files(predictions, unlabelled, tmp_path):
    write_submission(predictions, unlabelled, tmp_path / "s.zip", format="occ3d", workers=1, **DATA)
    file = one(predictions)
    with zipfile.ZipFile(tmp_path / "s.zip") as archive, archive.open(file.name) as stream, np.load(file) as saved:
        assert np.array_equal(np.load(stream)["arr_0"], saved["semantics"])


def test_few_samples_wait_for_the_writer():
    """Memory does not grow with the number of samples."""

    class Pool:
        submitted = 0

        def submit(self, pack, *arguments):
            self.submitted += 1
            future: Future = Future()
            future.set_result(pack(*arguments))
            return future

    pool = Pool()
    with tqdm(total=50, disable=True) as bar:
        done = submit._in_order(pool, lambda token: token.upper(), ((f"t{i:02}",) for i in range(50)), 4, bar)
        for number, (token, content) in enumerate(done):
            assert (token, content) == (f"t{number:02}", f"T{number:02}")
            assert pool.submitted <= number + 5
    assert pool.submitted == 50


def test_a_prediction_that_cannot_be_submitted_is_named(predictions, unlabelled, tmp_path):
    out, file = tmp_path / "submission", one(predictions)
    saved = dict(np.load(file))
    nested = file.with_suffix("") / "labels.npz"  # the layout in which the file does not have the name of the sample
    nested.parent.mkdir()
    file.unlink()
    for arrays, format, message in (
        ({"semantics": saved["semantics"]}, "openocc", rf"prediction of sample {file.stem} has no flow"),
        ({**saved, "flow": saved["flow"] * np.nan}, "openocc", rf"pcd_flow of sample {file.stem} is not finite"),
        ({"semantics": saved["semantics"] + 10}, "occ3d", rf"{file.stem}/labels\.npz: labels .* are out of range"),
        ({"semantics": saved["semantics"][:100]}, "occ3d", rf"{file.stem}/labels\.npz: labels .*\n.*\(100, 200, 16\)"),
    ):
        np.savez(nested, **arrays)
        with pytest.raises(EvaluationError, match=message):
            write_submission(predictions, unlabelled, out, format=format, workers=1, **DATA)
    nested.write_bytes(b"text")
    with pytest.raises(DataError, match=file.stem):
        write_submission(predictions, unlabelled, out, format="occ3d", workers=1, **DATA)
    assert not list(tmp_path.glob("*submission*"))


def test_missing_and_unknown_samples_are_named(predictions, unlabelled, tmp_path):
    out, file = tmp_path / "submission", one(predictions)
    moved = file.rename(file.with_name("unknown.npz"))
    with pytest.raises(EvaluationError, match=rf"split 'val' of {VERSION} lacks samples\n.*1: {file.stem}\n"):
        write_submission(predictions, unlabelled, out, format="occ3d", **DATA)
    file.write_bytes(moved.read_bytes())
    with pytest.raises(EvaluationError, match=r"holds unknown samples\n.*1: unknown\n"):
        write_submission(predictions, unlabelled, out, format="occ3d", **DATA)
    moved.unlink()
    write_submission(predictions, unlabelled, out, format="occ3d", workers=1, **DATA)
    with pytest.raises(EvaluationError, match=r"lacks samples\n.*8: .*\n.*each of 8 samples once"):
        check_submission(out, unlabelled, format="occ3d", version=VERSION, split="train")


def test_what_does_not_fit_the_format_is_refused_at_the_door(predictions, unlabelled, tmp_path):
    for call in (
        lambda: write_submission(predictions, unlabelled, tmp_path / "s", format="occ4d", **DATA),
        lambda: check_submission(tmp_path / "s", unlabelled, format="occ4d", **DATA),
    ):
        with pytest.raises(ConfigError, match=r"'occ4d'[\s\S]*did you mean 'occ3d'"):
            call()
    with pytest.raises(ConfigError, match="occ3d submissions do not name who submits"):
        write_submission(predictions, unlabelled, tmp_path / "s", format="occ3d", entrant=Entrant(team="us"), **DATA)
    with pytest.raises(EvaluationError, match="cannot be written"):
        write_submission(predictions, unlabelled, tmp_path, format="occ3d", workers=1, **DATA)


def test_empty_fields_of_the_head_are_spoken_of(predictions, unlabelled, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(submit, "print_log", lambda message, **_: said.append(message))
    entrant = Entrant("ours", "us", ("A",), "a@b.c", country="land")
    for number, head in enumerate((None, entrant)):
        write_submission(
            predictions, unlabelled, tmp_path / f"{number}", format="openocc", entrant=head, workers=1, **DATA
        )
    assert "method, team, authors, e-mail, institution / company, country / region;" in said[0]
    assert "leaves empty: institution / company;" in said[1]


def test_commands(predictions, unlabelled, tmp_path, capsys):
    out = tmp_path / "submission.gz"
    data = ["--format", "openocc", "--root", str(unlabelled), "--version", VERSION, "--split", "val"]
    head = ["--method", "ours", "--team", "us", "--authors", "A. B.", "C. D.", "--email", "a@b.c"]
    place = ["--institution", "lab", "--country", "land"]
    assert cli.main(["submit", str(predictions), *data, "--out", str(out), *head, *place, "--workers", "1"]) == 0
    assert capsys.readouterr().out == f"4 samples written to {out}\n"
    assert load(out)["authors"] == ["A. B.", "C. D."]
    assert cli.main(["check-submission", str(out), *data]) == 0
    assert capsys.readouterr().out == f"{out} is a complete openocc submission of 4 samples\n"
    assert cli.main(["check-submission", str(out), *data[:-1], "train"]) == 1
    assert "error: submission" in (errors := capsys.readouterr().err)
    assert "lacks samples" in errors
    volumes = ["--format", "occ3d", *data[2:]]
    assert cli.main(["submit", str(predictions), *volumes, "--out", str(tmp_path / "s.zip"), "--workers", "1"]) == 0
    assert cli.main(["check-submission", str(tmp_path / "s.zip"), *volumes]) == 0
    assert cli.main(["check-submission", str(out), *volumes]) == 1  # a pickle is no zip file
    with pytest.raises(SystemExit):
        cli.main(["submit", str(predictions), "--format", "occ4d", "--out", str(out)])
