from __future__ import annotations

from collections import Counter
from itertools import chain, islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdet3d_plugin.config import load_config
from mmdet3d_plugin.datasets import SceneShardSampler, StreamingBatchSampler
from mmdet3d_plugin.datasets.randomness import Stream, generator
from mmdet3d_plugin.datasets.samplers import cbgs_pass
from mmdet3d_plugin.errors import CheckpointError, ConfigError

SCHEDULE = Path(__file__).resolve().parents[2] / "configs" / "_base_" / "schedules" / "alocc.py"


def sequences(lengths) -> list[np.ndarray]:
    ends = np.cumsum(lengths)
    return [np.arange(end - length, end) for end, length in zip(ends, lengths)]


def scenes_like(count: int, frames: int, spread: int) -> list[np.ndarray]:
    """`count` scenes of about equal length with `frames` key frames together."""
    lengths = frames // count + np.random.default_rng(0).integers(-spread, spread + 1, count)
    surplus = frames - int(lengths.sum())
    lengths += surplus // count
    lengths[: surplus % count] += 1
    return sequences(lengths)


def halves(scenes: list[np.ndarray]) -> list[np.ndarray]:
    """Every scene cut in two, as the published recipe trains (`sequences_split=2`)."""
    return [part for scene in scenes for part in (scene[: -(-len(scene) // 2)], scene[-(-len(scene) // 2) :])]


# Sizes of the splits (spec/data/formats sections 2 and 7b).
NUSCENES_TRAIN, NUSCENES_VAL = scenes_like(700, 28130, 1), scenes_like(150, 6019, 1)
WAYMO_TRAIN, WAYMO_VAL = scenes_like(798, 158081, 3), scenes_like(202, 39987, 3)


def global_batches(scenes, world_size: int, lanes: int, count: int, position: int = 0, seed: int = 0) -> list:
    processes = []
    for rank in range(world_size):
        sampler = StreamingBatchSampler(scenes, lanes, rank, world_size, seed)
        sampler.set_position(position)
        processes.append(islice(sampler, count))
    return [list(chain(*parts)) for parts in zip(*processes)]


def test_lanes_play_every_second_element_of_the_permutations():
    scenes, count = sequences([2, 3, 1, 4]), 40
    orders = [generator(7, Stream.SEQUENCE_ORDER, 0, draw).permutation(4) for draw in range(40)]
    elements = [(draw, number) for draw, order in enumerate(orders) for number in order]
    lanes = [[(i, d) for d, n in elements[lane::2] for i in scenes[n].tolist()][:count] for lane in range(2)]
    batches = list(islice(StreamingBatchSampler(scenes, 2, seed=7), count))
    assert [list(map(tuple, batch)) for batch in batches] == [list(pair) for pair in zip(*lanes)]


@pytest.mark.parametrize("world_size", [1, 2, 4, 8, 16])
def test_the_global_batch_does_not_depend_on_the_processes(world_size):
    scenes = sequences(np.random.default_rng(1).integers(15, 22, 1400))  # 700 scenes cut in two
    assert global_batches(scenes, world_size, 16 // world_size, 60) == global_batches(scenes, 1, 16, 60)


def test_every_pass_covers_every_frame_once():
    scenes = sequences(np.random.default_rng(1).integers(15, 22, 140))
    frames = sum(map(len, scenes))
    counts = [Counter() for _ in range(3)]
    for batch in global_batches(scenes, 2, 4, 3 * frames // 8 + 200):
        for request in batch:
            if request.draw < 3:
                counts[request.draw][request.index] += 1
    for draw in range(3):
        assert counts[draw] == Counter(range(frames))


def play(scenes, world_size: int, lanes: int, passes: int) -> list[np.ndarray]:
    """(index, draw) that every lane plays until it has left `passes` passes behind, [R, 2] each."""
    played = []
    for rank in range(world_size):
        batches = []
        for batch in StreamingBatchSampler(scenes, lanes, rank, world_size, seed=5):
            if min(request.draw for request in batch) >= passes:
                break
            batches.append(batch)
        played.extend(np.array(batches).swapaxes(0, 1))
    return played


def require_passes(scenes, world_size: int, lanes: int, passes: int) -> None:
    """Every pass holds every sequence once, from its first to its last key frame, whoever plays it."""
    frames = sum(map(len, scenes))
    begins, ends = np.zeros(frames, bool), np.zeros(frames, bool)
    begins[[s[0] for s in scenes]] = ends[[s[-1] for s in scenes]] = True
    counts = np.zeros((passes, frames), np.int64)
    for lane in play(scenes, world_size, lanes, passes):
        index, draw = lane[lane[:, 1] < passes].T
        np.add.at(counts, (draw, index), 1)
        goes_on = (index[1:] == index[:-1] + 1) & ~begins[index[1:]] & (draw[1:] == draw[:-1])
        changes = ends[index[:-1]] & begins[index[1:]]
        assert begins[index[0]]
        assert (goes_on | changes).all()
    assert (counts == 1).all()


@pytest.mark.parametrize("world_size", range(1, 17))
def test_passes_at_the_size_of_nuscenes(world_size):
    """The same samples in every pass, for 2 lanes and for 5 lanes in each of 1 to 16 processes."""
    assert len(NUSCENES_TRAIN) == 700
    assert sum(map(len, NUSCENES_TRAIN)) == 28130
    require_passes(halves(NUSCENES_TRAIN), world_size, 2, passes=2)
    require_passes(NUSCENES_TRAIN, world_size, 5, passes=1)


@pytest.mark.parametrize("world_size", range(1, 17))
def test_passes_at_the_size_of_waymo(world_size):
    assert len(WAYMO_TRAIN) == 798
    assert sum(map(len, WAYMO_TRAIN)) == 158081
    require_passes(WAYMO_TRAIN, world_size, 2, passes=1)


@pytest.mark.parametrize("scenes", [halves(NUSCENES_TRAIN), WAYMO_TRAIN], ids=["nuscenes", "waymo"])
def test_resuming_anywhere_at_full_size(scenes):
    """A state of any number of processes, taken anywhere, continues on any other number with the same global batch."""
    lanes, steps = 16, 4000
    whole = list(islice(StreamingBatchSampler(scenes, lanes, seed=5), steps))
    rng = np.random.default_rng(2)
    for position in [0, 1, *rng.integers(2, steps - 10, 8).tolist(), steps - 10]:
        before, after = rng.choice([1, 2, 4, 8, 16], 2).tolist()
        stopped = StreamingBatchSampler(scenes, lanes // before, before - 1, before, seed=5)
        stopped.set_position(position)
        parts = []
        for rank in range(after):
            resumed = StreamingBatchSampler(scenes, lanes // after, rank, after, seed=5)
            resumed.load_state_dict(stopped.state_dict())
            parts.append(islice(resumed, 10))
        assert [list(chain(*part)) for part in zip(*parts)] == whole[position : position + 10]


def test_published_epochs_are_lengths_in_samples():
    """int(28130 // 16 * 4.554) = 8005 batches; the published schedule in samples is made of them."""
    epoch = cbgs_pass(28130, 16)
    assert epoch == 8005 * 16
    schedule = load_config(SCHEDULE)
    assert schedule.train_cfg.samples == 12 * epoch
    assert schedule.train_cfg.val_every == 4 * epoch
    assert schedule.hooks.history.start == 2 * epoch
    assert schedule.hooks.denoising.end == 6 * epoch
    assert cbgs_pass(158081, 8) == int(19760 * 4.554) * 8


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=9),
    lanes=st.integers(1, 5),
    start=st.integers(0, 60),
    seed=st.integers(0, 100),
)
def test_resuming_continues_exactly(lengths, lanes, start, seed):
    """Also with fewer sequences than lanes."""
    scenes = sequences(lengths)
    whole = global_batches(scenes, 1, lanes, start + 12, seed=seed)
    assert global_batches(scenes, 1, lanes, 12, position=start, seed=seed) == whole[start:]


def test_lanes_continue_or_start_a_sequence():
    scenes = sequences([4, 2, 5, 3])
    starts, ends = {int(s[0]) for s in scenes}, {int(s[-1]) for s in scenes}
    batches = list(islice(StreamingBatchSampler(scenes, 3), 50))
    for before, after in pairwise(batches):
        for a, b in zip(before, after):
            assert b.index in starts if a.index in ends else b == (a.index + 1, a.draw)


def test_fewer_sequences_than_lanes_play_different_draws():
    first = next(iter(StreamingBatchSampler(sequences([5, 5]), 6)))
    assert len(set(first)) == 6
    assert Counter(r.index for r in first) == {0: 3, 5: 3}


def test_seeds_and_passes_shuffle():
    scenes = sequences([3] * 50)
    one, other = (list(islice(StreamingBatchSampler(scenes, 1, seed=s), 150)) for s in (0, 1))
    assert one != other
    later = list(islice(StreamingBatchSampler(scenes, 1, seed=0), 150, 300))
    assert [r.index for batch in one for r in batch] != [r.index for batch in later for r in batch]


def test_state_is_the_number_of_consumed_batches():
    scenes = sequences([3, 4, 5])
    sampler = StreamingBatchSampler(scenes, 4, seed=2)
    iterator = iter(sampler)
    prefetched = [next(iterator) for _ in range(10)]  # a loader runs ahead of the training
    sampler.set_position(6)
    state = sampler.state_dict()
    assert state["position"] == 6
    resumed = StreamingBatchSampler(scenes, 2, rank=0, world_size=2, seed=2)  # two processes now
    resumed.load_state_dict(state)
    assert [b[:2] for b in prefetched[6:]] == list(islice(resumed, 4))


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 3},
        {"lanes_per_process": 2},
        {"sequences": sequences([3, 4])},
        {"sequences": sequences([3, 4, 6])},
    ],
)
def test_a_checkpoint_of_another_run_is_refused(other):
    arguments = {"sequences": sequences([3, 4, 5]), "lanes_per_process": 4, "seed": 2}
    state = StreamingBatchSampler(**arguments).state_dict()
    with pytest.raises(CheckpointError, match="cannot be resumed"):
        StreamingBatchSampler(**(arguments | other)).load_state_dict(state)


@pytest.mark.parametrize("world_size", range(1, 17))
@pytest.mark.parametrize(("scenes", "frames"), [(NUSCENES_VAL, 6019), (WAYMO_VAL, 39987)], ids=["nuscenes", "waymo"])
def test_evaluation_sees_every_frame_once_and_whole_scenes(scenes, frames, world_size):
    assert sum(map(len, scenes)) == frames
    shards = [SceneShardSampler(scenes, rank, world_size) for rank in range(world_size)]
    indices = [[r.index for batch in shard for r in batch] for shard in shards]
    assert [len(s) for s in shards] == [len(i) for i in indices]
    assert sorted(chain(*indices)) == list(range(frames))
    assert max(map(len, indices)) - min(map(len, indices)) <= max(map(len, scenes))
    scene_of = np.repeat(np.arange(len(scenes)), [len(s) for s in scenes])
    for shard in indices:
        owners = scene_of[shard]
        assert (np.diff(owners) >= 0).all()
        for scene in set(owners):
            assert (owners == scene).sum() == len(scenes[scene])
        starts = np.r_[True, np.diff(owners) > 0]
        assert (np.diff(shard)[~starts[1:]] == 1).all()


def test_more_processes_than_scenes_leaves_some_idle():
    shards = [list(SceneShardSampler(sequences([3, 5]), rank, 4)) for rank in range(4)]
    assert sorted(map(len, shards)) == [0, 0, 3, 5]


def test_senseless_arguments_are_refused():
    scenes = sequences([3, 5])
    for arguments in ((scenes, 0), (scenes, 1, 2, 2), ([], 1), ([np.arange(0)], 1)):
        with pytest.raises(ConfigError):
            StreamingBatchSampler(*arguments)
    for arguments in ((scenes, 3, 2), ([], 0, 1)):
        with pytest.raises(ConfigError):
            SceneShardSampler(*arguments)
    with pytest.raises(ConfigError, match="negative"):
        StreamingBatchSampler(scenes, 1).set_position(-1)
