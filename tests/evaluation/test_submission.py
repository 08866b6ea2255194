"""OpenOcc submissions: what rays meet, what a server counts, equal bytes, and every way in which a file is wrong."""

from __future__ import annotations

import copy
import gzip
import json
import math
import os
import pickle
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from metric_volumes import GRID, SMALL

from mmdet3d_plugin.errors import DataError, EvaluationError
from mmdet3d_plugin.evaluation import lidar_rays
from mmdet3d_plugin.evaluation.flow import challenge_counts, challenge_metrics
from mmdet3d_plugin.evaluation.submission import Entrant, check_openocc, submitted_rays, write_openocc
from mmdet3d_plugin.evaluation.submission_pickle import load
from mmdet3d_plugin.structures import OPENOCC

CAR, FREE = OPENOCC.index("car"), OPENOCC.free
GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "metrics"
ORIGINS = torch.tensor([[0.1, 0.2, 0.1], [-1.23456789, 2.3, 0.31]], dtype=torch.float64)
RAYS = 14040
HEADER = ("method", "team", "authors", "e-mail", "institution / company", "country / region")


def still(grid=SMALL):
    return torch.zeros(2, *grid.zyx)


def random_scene(seed):
    """Sparse labels and velocities of a frame."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, OPENOCC.num_classes, SMALL.zyx, generator=generator, dtype=torch.uint8)
    labels = labels.masked_fill(torch.rand(SMALL.zyx, generator=generator) < 0.7, FREE)
    return labels, torch.randn(2, *SMALL.zyx, generator=generator) * 3


def as_a_server_counts(submitted, truth):
    """Counts of the challenge from arrays of rays alone: labels, float16 distances and velocities (spec/metrics 6)."""
    label, predicted = truth["pcd_cls"].astype(int), submitted["pcd_cls"].astype(int)
    scored = label != FREE
    off = np.abs(submitted["pcd_dist"] - truth["pcd_dist"])
    difference = submitted["pcd_flow"].astype(np.float32) - truth["pcd_flow"].astype(np.float32)
    error = np.sqrt((difference * difference).sum(axis=1))[scored].astype(np.float64).sum()

    def count(rays, values=label, size=OPENOCC.num_classes):
        return np.bincount(values[rays], minlength=size)

    matched = np.stack([count(scored & (label == predicted) & (off < threshold)) for threshold in (1, 2, 4)])
    return {
        "challenge_truth": count(scored, size=OPENOCC.num_classes + 1),
        "challenge_predicted": count(scored, predicted),
        "challenge_matched": matched,
        "challenge_error": (matched[1] > 0) * error,
        "challenge_rays": (matched[1] > 0) * scored.sum(),
    }


def test_rays_of_an_empty_world_end_at_its_walls():
    rays = submitted_rays("a", torch.full(SMALL.zyx, FREE, dtype=torch.uint8), still(), ORIGINS, SMALL)
    assert {name: (array.dtype, array.shape) for name, array in rays.items()} == {
        "pcd_cls": (np.uint8, (2 * RAYS,)),
        "pcd_dist": (np.float16, (2 * RAYS,)),
        "pcd_flow": (np.float16, (2 * RAYS, 2)),
    }
    direction = lidar_rays().double().numpy()
    wall = np.where(direction > 0, SMALL.upper, SMALL.lower)
    with np.errstate(divide="ignore"):
        ways = [
            np.abs((wall - origin) / direction).min(axis=1) for origin in ORIGINS.numpy()
        ]  # one origin after the other
    np.testing.assert_allclose(rays["pcd_dist"], np.concatenate(ways), rtol=2e-3)
    assert (rays["pcd_cls"] == FREE).all()
    assert not rays["pcd_flow"].any()


def test_rays_in_a_car_stop_at_once_and_move_with_it():
    flow = torch.tensor([3.0, -4.5]).view(2, 1, 1, 1).expand(2, *SMALL.zyx)
    rays = submitted_rays("a", torch.full(SMALL.zyx, CAR, dtype=torch.uint8), flow, ORIGINS, SMALL)
    assert (rays["pcd_cls"] == CAR).all()
    assert (rays["pcd_flow"] == [3.0, -4.5]).all()
    assert rays["pcd_dist"].min() > 0
    assert rays["pcd_dist"].max() < 0.4 * math.sqrt(3)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_server_counts_what_the_evaluator_counts(seed):
    truth, prediction = random_scene(seed), random_scene(seed + 10)
    near = torch.rand(SMALL.zyx, generator=torch.Generator().manual_seed(seed)) < 0.7
    prediction = torch.where(near, truth[0], prediction[0]), prediction[1]
    submitted, expected = (submitted_rays("a", *volumes, ORIGINS, SMALL) for volumes in (prediction, truth))
    ours, theirs = (
        challenge_counts(prediction, truth, ORIGINS, SMALL, OPENOCC),
        as_a_server_counts(submitted, expected),
    )
    assert ours["challenge_matched"].sum() > 1000
    for name, counts in ours.items():
        if name != "challenge_error":
            assert (theirs[name] == counts).all(), name
    np.testing.assert_allclose(theirs["challenge_error"], ours["challenge_error"], rtol=1e-6)


def test_a_submission_scores_as_the_challenge_program_scored():
    """The golden figures were made by the program of the challenge."""
    expected = json.loads((GOLDEN / "golden.json").read_text())["openocc"]["no_tp_class"]["server"]
    with np.load(GOLDEN / "openocc_flow.npz") as arrays:
        case = {name.removeprefix("no_tp_class/0/"): arrays[name] for name in arrays.files if "no_tp_class/0/" in name}
    rays = []
    for name in ("pred", "gt"):
        flow = np.zeros((GRID.num_voxels, 2), np.float32)
        flow[case[f"flow_{name}_idx"]] = case[f"flow_{name}_val"]
        flow = torch.from_numpy(flow.reshape(*GRID.shape, 2).transpose(3, 2, 1, 0).copy())
        labels = torch.from_numpy(case[name].transpose(2, 1, 0).copy())
        rays.append(submitted_rays(name, labels, flow, torch.from_numpy(case["origins"]), GRID))
    found = challenge_metrics(as_a_server_counts(*rays), OPENOCC)
    assert found["challenge/RayIoU"] == expected["RayIoU"]
    assert found["challenge/mAVE"] == pytest.approx(expected["mAVE"], abs=2e-6)


def test_what_is_no_prediction_is_refused():
    labels, flow = random_scene(0)
    with pytest.raises(EvaluationError, match=r"labels of sample a[\s\S]*\(20, 20, 4\)[\s\S]*\(4, 20, 20\)"):
        submitted_rays("a", labels.permute(2, 1, 0), flow, ORIGINS, SMALL)
    with pytest.raises(EvaluationError, match="flow of sample a"):
        submitted_rays("a", labels, flow[:1], ORIGINS, SMALL)
    with pytest.raises(EvaluationError, match="pcd_cls of sample a is out of range"):
        submitted_rays("a", torch.full_like(labels, 17), flow, ORIGINS, SMALL)
    with pytest.raises(EvaluationError, match="pcd_flow of sample a is not finite"):  # float16 ends at 65504
        submitted_rays("a", labels, torch.full_like(flow, 7e4), ORIGINS, SMALL)


@pytest.fixture
def frames():
    """Rays of two samples, from one and from two origins."""
    return [(token, submitted_rays(token, *random_scene(k), ORIGINS[:k], SMALL)) for token, k in (("a", 1), ("b", 2))]


NUM_ORIGINS = {"a": 1, "b": 2}
ENTRANT = Entrant("ours", "team", ("A", "B"), "a@b.c", "lab", "land")


def test_round_trip(tmp_path, frames):
    path = tmp_path / "folder" / "submission.gz"
    write_openocc(path, ENTRANT, frames)
    check_openocc(path, NUM_ORIGINS)
    with gzip.open(path) as stream:
        plain = pickle.load(stream)  # as a server does
    for content in (plain, load(path)):
        assert [content[name] for name in HEADER] == ["ours", "team", ["A", "B"], "a@b.c", "lab", "land"]
        assert list(content["results"]) == ["a", "b"]
        for token, rays in frames:
            assert list(content["results"][token]) == ["pcd_cls", "pcd_dist", "pcd_flow"]
            for name, array in rays.items():
                found = content["results"][token][name]
                assert (found.dtype, found.tobytes()) == (array.dtype, array.tobytes())
                assert found.shape == array.shape
    assert plain["results"]["a"]["pcd_flow"].flags.writeable
    assert b"_core" not in gzip.decompress(path.read_bytes())  # numpy 1 reads it
    assert os.listdir(path.parent) == ["submission.gz"]


def test_equal_rays_are_equal_bytes(tmp_path, frames, monkeypatch):
    write_openocc(tmp_path / "one.gz", ENTRANT, frames)
    monkeypatch.setattr("time.time", lambda: 1.0)
    write_openocc(tmp_path / "two.gz", ENTRANT, iter(copy.deepcopy(frames)))
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()


def test_frames_are_not_kept(tmp_path, frames):
    def made():
        gone: list[weakref.ref] = []
        for number in range(5):
            rays = {name: array.copy() for name, array in frames[0][1].items()}
            assert all(reference() is None for reference in gone[:-3])
            gone += [weakref.ref(array) for array in rays.values()]
            yield f"sample{number}", rays

    write_openocc(tmp_path / "submission.gz", ENTRANT, made())


def test_a_submission_that_fails_leaves_the_old_one(tmp_path, frames):
    path = tmp_path / "submission.gz"
    write_openocc(path, ENTRANT, frames)
    old = path.read_bytes()
    with pytest.raises(EvaluationError, match="sample a comes after sample b"):
        write_openocc(path, ENTRANT, frames[::-1])
    with pytest.raises(EvaluationError, match="sample b comes twice"):
        write_openocc(path, ENTRANT, [*frames, frames[1]])

    def full():
        yield frames[0]
        raise OSError(28, "No space left on device")

    with pytest.raises(EvaluationError, match=r"(?s)cannot be written.*No space left"):
        write_openocc(path, ENTRANT, full())
    assert path.read_bytes() == old
    for nowhere, found in ((tmp_path, "a folder"), (path / "below.gz", "File exists")):
        with pytest.raises(EvaluationError, match=f"(?s)cannot be written.*{found}"):
            write_openocc(nowhere, ENTRANT, frames)
    assert os.listdir(tmp_path) == ["submission.gz"]


def pack(path, content, protocol=4):
    """What another program writes."""
    path.write_bytes(gzip.compress(pickle.dumps(content, protocol), 1))
    return path


@pytest.fixture
def content(frames):
    """A valid submission as a dictionary."""
    return {**ENTRANT.header(), "results": {token: dict(rays) for token, rays in frames}}


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_files_of_other_programs(tmp_path, content, protocol):
    rays = content["results"]["b"]
    rays["pcd_cls"] = rays["pcd_cls"].astype(np.int8)
    rays["pcd_flow"] = np.asfortranarray(rays["pcd_flow"])
    path = pack(tmp_path / "theirs.gz", content, protocol)
    check_openocc(path, NUM_ORIGINS)
    assert (load(path)["results"]["b"]["pcd_flow"] == rays["pcd_flow"]).all()


class Malicious:
    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize(
    ("function", "argument", "name"),
    [
        (os.system, "touch {}", r"posix\.system|nt\.system"),
        (eval, "open({!r}, 'w')", r"builtins\.eval"),
        (Path, "{}", r"pathlib\.\w*Path"),
        (np.fromfile, "{}", r"numpy\.fromfile"),
    ],
)
@pytest.mark.parametrize("place", ["head", "token", "array"])
def test_nothing_in_a_file_is_run(tmp_path, content, function, argument, name, place):
    made = tmp_path / "made"
    evil = Malicious(function, argument.format(str(made)))
    if place == "head":
        content["method"] = evil
    elif place == "token":
        content["results"]["c"] = evil
    else:
        content["results"]["a"]["pcd_dist"] = evil
    with pytest.raises(DataError, match=rf"evil\.gz refers to something[\s\S]*found: +({name})\n"):
        load(pack(tmp_path / "evil.gz", content))
    assert not made.exists()


def test_methods_of_what_is_allowed_are_refused(tmp_path):
    path = tmp_path / "evil.gz"
    path.write_bytes(gzip.compress(b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93."))
    with pytest.raises(DataError, match=r"numpy\.ndarray\.tofile"):
        load(path)


def test_the_state_of_a_type_cannot_make_numpy_misread_memory(tmp_path):
    """A dtype of objects without the flag that says so would follow any address in the file."""
    forged = Malicious(np.dtype, "O8")
    forged.reduced = np.dtype, ("O8", False, True), (3, "|", None, None, None, 8, 8, 0)
    array = Malicious(np.ndarray)
    array.reduced = np.ndarray, ((0,), "b"), (1, (1,), forged, False, b"\x08" * 8)
    with pytest.raises(DataError, match="cannot be read"):
        load(pack(tmp_path / "evil.gz", {"results": {"a": {"pcd_cls": array}}}))


def test_damaged_files_are_named(tmp_path, frames):
    path = tmp_path / "s.gz"
    with pytest.raises(DataError, match=r"s\.gz does not exist"):
        load(path)
    write_openocc(path, ENTRANT, frames)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-5] ^= 1  # the checksum
    for damaged in (b"", b"text", whole[:-100], whole[: len(whole) // 2], bytes(flipped), gzip.compress(b"\x80\x04}")):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"s\.gz cannot be read"):
            load(path)
    path.write_bytes(gzip.compress(gzip.decompress(whole) + b"more"))
    with pytest.raises(DataError, match="more bytes behind the pickle"):
        load(path)
    with pytest.raises(DataError, match=r"(?s)found: +list.*one pickled dictionary"):
        load(pack(path, [1, 2]))


def remove(*keys):
    """A change that removes what the keys lead to."""

    def change(content):
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return change


def put(*keys):
    """A change that puts the last argument, or what it makes of the old value, where the keys before it lead."""

    def change(content):
        for key in keys[:-2]:
            content = content[key]
        content[keys[-2]] = keys[-1](content.get(keys[-2])) if callable(keys[-1]) else keys[-1]

    return change


def with_value(index, value):
    """A change of one element of an array."""

    def change(array):
        array = array.copy()
        array[index] = value
        return array

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove("team"), r"field 'team'[\s\S]*only 'method', 'authors'[\s\S]*expected: str"),
        (remove("results"), r"field 'results'[\s\S]*expected: dict"),
        (put("authors", "A"), r"field 'authors'[\s\S]*found: +str[\s\S]*expected: list"),
        (remove("results", "b"), r"lacks samples[\s\S]*1: b[\s\S]*each of 2 samples once"),
        (put("results", "c", {}), r"holds unknown samples[\s\S]*1: c\n"),
        (put("results", 5, {}), r"holds unknown samples[\s\S]*1: 5 \(int\)"),
        (put("results", "b", []), r"pcd_cls of sample b is missing[\s\S]*found: +list"),
        (remove("results", "b", "pcd_flow"), r"pcd_flow of sample b is missing[\s\S]*'pcd_cls', 'pcd_dist'\n"),
        (put("results", "b", "pcd_cls", lambda a: a.astype(np.int64)), r"pcd_cls of sample b[\s\S]*int64[\s\S]*uint8"),
        (put("results", "b", "pcd_dist", lambda a: a.astype(np.float32)), r"pcd_dist of sample b[\s\S]*float32"),
        (put("results", "b", "pcd_dist", lambda a: a.tolist()), r"pcd_dist of sample b[\s\S]*found: +list"),
        (put("results", "b", "pcd_flow", lambda a: a.T), r"pcd_flow of sample b[\s\S]*\(2, 28080\)[\s\S]*\(28080, 2\)"),
        (put("results", "b", "pcd_cls", lambda a: a[:-1]), r"pcd_cls of sample b[\s\S]*\(28079,\)[\s\S]*2 origins"),
        (put("results", "b", "pcd_cls", with_value(14047, 17)), r"pcd_cls of sample b .*ray 7 of origin 1\n.*17\n.*16"),
        (
            put("results", "b", "pcd_dist", with_value(3, np.inf)),
            r"pcd_dist of sample b .*at ray 3 .*\n.*inf",
        ),
        (put("results", "b", "pcd_flow", with_value((9, 1), np.nan)), r"pcd_flow of sample b .*at ray 9 .*\n.*nan"),
    ],
)
def test_what_a_server_cannot_score_is_named(tmp_path, content, change, message):
    change(content)
    with pytest.raises(EvaluationError, match=message):
        check_openocc(pack(tmp_path / "s.gz", content), NUM_ORIGINS)


def test_five_of_many_missing_samples_are_named(tmp_path, content):
    expected = {**NUM_ORIGINS, **{f"m{i}": 1 for i in range(7)}}
    with pytest.raises(EvaluationError, match=r"lacks samples\n +found: +7: m0, m1, m2, m3, m4\n"):
        check_openocc(pack(tmp_path / "s.gz", content), expected)


def test_a_negative_label_is_out_of_range(tmp_path, content):
    content["results"]["a"]["pcd_cls"] = np.full(RAYS, -1, np.int8)
    with pytest.raises(EvaluationError, match=r"pcd_cls of sample a is out of range at ray 0 of origin 0\n.*-1"):
        check_openocc(pack(tmp_path / "s.gz", content), NUM_ORIGINS)
