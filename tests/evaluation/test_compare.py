"""Results side by side, and the refusal to compare what must not be compared."""

from __future__ import annotations

import dataclasses

import pytest

from mmdet3d_plugin import cli
from mmdet3d_plugin.errors import EvaluationError
from mmdet3d_plugin.evaluation import compare_files, write_result


@pytest.fixture
def write(result, tmp_path):
    """Writes the result under a name, with changes of its protocol; returns the path."""

    def write(name, metrics=None, **changes):
        changed = dataclasses.replace(
            result,
            protocol=dataclasses.replace(result.protocol, **changes),
            metrics={**result.metrics, **(metrics or {})},
        )
        write_result(tmp_path / name, changed)
        return str(tmp_path / name)

    return write


def cells(text, row):
    """Cells of the only row that starts with `row`."""
    lines = [line.replace("\u2502", "|").replace(" ", "").split("|") for line in text.splitlines()]
    (found,) = [line for line in lines if line[0] == row and len(line) > 1]
    return found[1:]


def test_one_table_for_one_protocol(write):
    text = compare_files([write("a.json", {"IoU@all": 0.25}), write("b.json", {"IoU@all": 0.5}, profile="published")])
    assert text.count("SYNTHETIC DATA") == 1
    assert cells(text, "IoU@all") == ["25.00%", "50.00%"]
    assert cells(text, "profile") == ["corrected", "published"]
    assert text.count(" driveable_surface ") == text.count(" by class, %")


def test_metric_of_one_result_only_leaves_the_other_cell_empty(write, result):
    text = compare_files([write("a.json"), write("b.json", {"mAVE": 0.75})])
    assert cells(text, "mAVE") == ["", "0.750m/s"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mode", "corrected"),
        ("evaluated_masks", ("all",)),
        ("token_hash", "0" * 64),
        ("label_set", "OpenOcc"),
        ("synthetic", False),
    ],
)
def test_different_protocols_are_refused_by_name(write, field, value):
    paths = [write("a.json"), write("b.json", **{field: value})]
    with pytest.raises(EvaluationError, match="protocols differ") as refused:
        compare_files(paths)
    assert f"{field}: " in str(refused.value)
    assert repr(value) in str(refused.value)
    assert all(path in str(refused.value) for path in paths)


def test_anyway_makes_a_block_for_each_protocol(write):
    paths = [write("a.json"), write("b.json", mode="corrected"), write("c.json")]
    text = compare_files(paths, anyway=True)
    assert text.count("SYNTHETIC DATA") == 2
    first, second = text.split("SYNTHETIC DATA")[1:]
    assert len(cells(first, "IoU@all")) == 2
    assert len(cells(second, "IoU@all")) == 1


def test_a_file_given_twice_is_refused(write):
    path = write("a.json")
    with pytest.raises(EvaluationError, match="twice"):
        compare_files([path, path])


def test_command(write, capsys):
    same, other = [write("a.json"), write("b.json")], write("c.json", mode="corrected")
    assert cli.main(["compare", *same]) == 0
    assert "IoU@all" in capsys.readouterr().out
    assert cli.main(["compare", *same, other]) == 1
    assert "mode: " in capsys.readouterr().err
    assert cli.main(["compare", *same, other, "--anyway"]) == 0
