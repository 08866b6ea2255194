"""Properties that every accumulation of counts must have, bad input, and completeness."""

from __future__ import annotations

import pickle
import random
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_volumes import CAR, FREE, SMALL, SPACE, free_volume, random_labels, random_mask, targets

from mmdet3d_plugin.errors import ConfigError, EvaluationError
from mmdet3d_plugin.evaluation import OccupancyEvaluator, merge_states
from mmdet3d_plugin.structures import SURROUNDOCC, OccTargets

METRICS = ("miou", "ray_iou")


def evaluator(metrics=METRICS, mode="published"):
    return OccupancyEvaluator(SPACE, SMALL, metrics, mode)


def sample(index):
    truth = random_labels(index)
    changed = torch.rand(truth.shape, generator=torch.Generator().manual_seed(index)) < 0.3
    prediction = torch.where(changed, random_labels(index + 1000), truth)
    return prediction, targets(truth, random_mask(index)), [f"token{index}"]


def assert_equal_states(a, b):
    assert sorted(a.tokens) == sorted(b.tokens)
    assert a.counts.keys() == b.counts.keys()
    for name, value in a.counts.items():
        assert np.array_equal(value, b.counts[name]), name


@settings(max_examples=10, deadline=None)
@given(processes=st.sampled_from([1, 2, 3, 5, 7]), seed=st.integers(0, 1000))
def test_any_order_and_any_split_gives_equal_counts(processes, seed):
    samples = [sample(i) for i in range(4)]
    whole = evaluator()
    for s in samples:
        whole.update(*s)
    random.Random(seed).shuffle(samples)
    shares = [evaluator() for _ in range(processes)]  # with more processes than samples some stay empty
    for i, s in enumerate(samples):
        shares[i % processes].update(*s)
    states = [pickle.loads(pickle.dumps(share.state())) for share in shares]
    random.Random(seed).shuffle(states)
    merged = merge_states(states)
    assert_equal_states(merged, whole.state())
    assert merged.compute() == whole.compute()
    merged.check_complete(f"token{i}" for i in range(4))


def test_batches_count_like_single_samples():
    samples = [sample(i) for i in range(3)]
    one_by_one, batch = evaluator(), evaluator()
    for s in samples:
        one_by_one.update(*s)
    together = OccTargets(
        occupancy=torch.cat([s[1].occupancy for s in samples]),
        mask_camera=torch.cat([s[1].mask_camera for s in samples]),
        ray_origins=tuple(s[1].ray_origins[0] for s in samples),
    )
    batch.update(torch.cat([s[0] for s in samples]), together, [s[2][0] for s in samples])
    assert_equal_states(one_by_one.state(), batch.state())


@pytest.mark.parametrize("mode", ["published", "corrected"])
def test_perfect_prediction(mode):
    truth = random_labels(0)
    e = evaluator(mode=mode)
    e.update(truth.clone(), targets(truth, random_mask(0)), ["a"])
    values = e.compute()
    hallucination = values.pop("ray_hallucination", 0.0)
    assert hallucination == 0
    assert all(value == 1 for value in values.values()), values
    assert {s.status for scores in e.class_table().values() for s in scores} <= {"ok", "absent_in_both"}


def test_all_free_prediction():
    e = evaluator()
    e.update(free_volume(), targets(random_labels(0), random_mask(0)), ["a"])
    values = e.compute()
    assert all(value == 0 for value in values.values()), values
    rows = {s.name: s for s in e.class_table()["IoU@all"]}
    assert rows["car"].status == "absent_in_prediction"
    assert rows["free"].status == "ok"


def test_nothing_scored_is_nan_not_zero():
    e = evaluator()
    truth = free_volume()
    e.update(free_volume(), targets(truth, torch.zeros_like(truth, dtype=torch.bool)), ["a"])
    assert all(np.isnan(v) for v in e.compute().values())
    assert {s.status for s in e.class_table()["IoU@camera"]} == {"absent_in_both"}


@settings(max_examples=10, deadline=None)
@given(permutation=st.permutations([i for i in range(SPACE.num_classes) if i != FREE and i not in SPACE.dynamic]))
def test_relabelling_permutes_classes(permutation):
    static = [i for i in range(SPACE.num_classes) if i != FREE and i not in SPACE.dynamic]
    table = torch.arange(256, dtype=torch.uint8)
    table[torch.tensor(static)] = torch.tensor(permutation, dtype=torch.uint8)
    prediction, target, token = sample(3)
    before, after = evaluator(), evaluator()
    before.update(prediction, target, token)
    relabelled = targets(table[target.occupancy.long()], target.mask_camera)
    after.update(table[prediction.long()], relabelled, token)
    for name, value in before.compute().items():
        assert after.compute()[name] == pytest.approx(value, rel=1e-12, nan_ok=True), name


def test_splitting_a_mask_splits_the_counts():
    prediction, target, token = sample(5)
    state = OccupancyEvaluator(SPACE, SMALL, ("miou",))
    state.update(prediction, target, token)
    voxels = state.state().counts["voxels"]
    assert voxels.sum() == SMALL.num_voxels
    assert voxels[1].sum() == int(target.mask_camera.sum())
    by_hand = (prediction == CAR) & (target.occupancy == CAR) & target.mask_camera
    assert voxels[1, CAR, CAR] == int(by_hand.sum())


def test_size_does_not_grow_with_frames():
    e = evaluator()
    sizes, prediction_and_target = [], sample(0)[:2]
    e.update(*prediction_and_target, ["warm-up"])
    tracemalloc.start()
    for i in range(100):
        e.update(*prediction_and_target, [f"{i:032d}"])
        if i in (9, 99):
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert sizes[1] - sizes[0] < 90 * 1000  # a token and its slot, far below one volume
    assert len(pickle.dumps(e.state())) < 20_000


def test_state_is_a_snapshot_and_reset_forgets():
    e = evaluator()
    e.update(*sample(0))
    before = e.state()
    copy = pickle.loads(pickle.dumps(before))
    e.update(*sample(1))
    assert_equal_states(before, copy)
    e.reset()
    assert e.state().tokens == []
    assert all(not value.any() for value in e.state().counts.values())


def test_repeated_samples_are_refused():
    e = evaluator()
    e.update(*sample(0))
    counts = e.state()
    with pytest.raises(EvaluationError, match="token0 was scored already"):
        e.update(*sample(0))
    assert_equal_states(counts, e.state())
    with pytest.raises(EvaluationError, match=r"(?s)1 samples were scored more than once.*token0"):
        e.state().merge(e.state())


def test_states_of_different_kind_are_refused():
    others = [evaluator(("miou",)), evaluator(mode="corrected"), OccupancyEvaluator(SURROUNDOCC, SMALL, METRICS)]
    for other in others:
        with pytest.raises(EvaluationError, match="count different things"):
            evaluator().state().merge(other.state())
    with pytest.raises(EvaluationError, match="no evaluation state"):
        merge_states([])


def test_masks_in_some_samples_only_are_refused():
    prediction, target, _ = sample(0)
    bare = targets(target.occupancy)
    e, other = evaluator(), evaluator()
    e.update(prediction, target, ["a"])
    with pytest.raises(EvaluationError, match="camera mask of sample b"):
        e.update(prediction, bare, ["b"])
    other.update(prediction, bare, ["b"])
    with pytest.raises(EvaluationError, match="with and without a camera mask"):
        e.state().merge(other.state())
    assert [name for name in other.compute() if name.startswith("mIoU")] == ["mIoU@all", "mIoU_D@all"]


def test_incomplete_evaluations_name_the_tokens():
    e = evaluator(("miou",))
    prediction, target, _ = sample(0)
    e.update(prediction, target, ["a"])
    e.update(prediction, target, ["x"])
    with pytest.raises(EvaluationError, match="2 missing: b, c; 1 unknown: x"):
        e.check_complete(["a", "b", "c"])
    e.check_complete(["x", "a"])


class TestBadInput:
    def test_label_out_of_range(self):
        prediction, target, token = sample(0)
        prediction[0, 0, 0, 0] = 18
        e = evaluator()
        with pytest.raises(EvaluationError, match=r"(?s)token0 holds a label.*18.*0 to 17"):
            e.update(prediction, target, token)
        assert e.state().tokens == []

    def test_axes_in_disk_order(self):
        prediction, target, token = sample(0)
        with pytest.raises(EvaluationError, match=r"prediction of sample token0"):
            evaluator().update(prediction.transpose(1, 3), target, token)

    def test_dtype(self):
        prediction, target, token = sample(0)
        with pytest.raises(EvaluationError, match=r"(?s)token0.*int64"):
            evaluator().update(prediction.long(), target, token)

    def test_missing_targets(self):
        prediction, target, token = sample(0)
        with pytest.raises(EvaluationError, match="no ground truth for sample token0"):
            evaluator().update(prediction, OccTargets(), token)
        with pytest.raises(EvaluationError, match="origins of sample token0"):
            evaluator().update(prediction, OccTargets(occupancy=target.occupancy), token)

    def test_unknown_metric_and_mode(self):
        with pytest.raises(ConfigError, match="did you mean 'miou'"):
            evaluator(("miu",))
        with pytest.raises(ConfigError, match="'published' or 'corrected'"):
            evaluator(mode="fixed")
        with pytest.raises(ConfigError, match="has no flow"):
            evaluator(("flow",))
