"""Batches in the order of the sampler, whoever loads them, and adjacent images decoded once."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

import pytest
import torch

from mmdet3d_plugin.datasets import NuScenesOccDataset, StreamingBatchSampler
from mmdet3d_plugin.datasets.image_cache import ImageCache
from mmdet3d_plugin.datasets.samplers import SceneShardSampler
from mmdet3d_plugin.engine.loaders import RUN, BatchRuns, Runs, build_loader, checked
from mmdet3d_plugin.errors import DataError

sys.path.append(str(Path(__file__).resolve().parents[1] / "datasets"))
import handmade

IMAGE_BYTES = 90 * 160 * 3


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    return handmade.write(tmp_path_factory.mktemp("handmade") / "nuscenes")


def test_runs_cut_the_batches_of_a_sampler_without_losing_any():
    sampler = SceneShardSampler([[0, 1, 2], [3, 4, 5, 6, 7, 8]])
    runs = list(Runs(sampler, 4))
    assert [len(run) for run in runs] == [4, 4, 1]
    assert [request.index for run in runs for (request,) in run] == list(range(9))


def test_runs_start_where_the_sampler_stands_and_pass_on_its_state():
    sampler = StreamingBatchSampler([[0, 1, 2, 3], [4, 5, 6]], lanes_per_process=2)
    whole = list(islice(sampler, 9))
    runs = Runs(sampler, 4)
    runs.set_position(3)
    assert next(iter(runs)) == whole[3:7]
    assert runs.position == sampler.position == 3
    assert runs.state_dict() == sampler.state_dict()
    runs.load_state_dict({**sampler.state_dict(), "position": 5})
    assert next(iter(runs))[0] == whole[5]


@pytest.mark.parametrize("adjacent", [True, False])
def test_any_number_of_processes_gives_the_same_batches(world, adjacent):
    dataset = NuScenesOccDataset(**handmade.config(world, load_adjacent=adjacent))
    played = []
    for workers in (0, 1, 3):
        sampler = StreamingBatchSampler(dataset.sequences, lanes_per_process=2)
        played.append(list(checked(build_loader(dataset, sampler, workers), 10)))
    for batches in played[1:]:
        for one, other in zip(played[0], batches, strict=True):
            assert one.frames[0].meta.token == other.frames[0].meta.token
            assert torch.equal(one.frames[0].images, other.frames[0].images)
            assert torch.equal(one.targets.occupancy, other.targets.occupancy)
            assert (one.frames[0].adjacent is not None) is adjacent
            if adjacent:
                assert torch.equal(one.frames[0].adjacent.images, other.frames[0].adjacent.images)


def test_a_run_of_many_lanes_needs_room_for_two_frames_only(world):
    """Every process decodes all but the first adjacent frame of a lane once, in a cache for one lane."""
    image = {"type": "ImagePipeline", "size": (32, 88), "flip": 0.5, "resampling": "pil"}
    dataset = NuScenesOccDataset(**handmade.config(world, image=image))
    dataset.image_cache = ImageCache(2 * 6 * IMAGE_BYTES)
    lanes = 3
    run = next(iter(Runs(StreamingBatchSampler([[1, 2, 3, 4]], lanes_per_process=lanes), RUN)))
    batches = BatchRuns(dataset).__getitems__(run)
    assert [batch.frames[0].images.shape[0] for batch in batches] == [lanes] * RUN
    assert dataset.image_cache.misses <= 6 * lanes * (RUN + 1)


def test_the_error_of_a_sample_arrives_in_its_place(world):
    class Broken(NuScenesOccDataset):
        def __getitem__(self, request):
            if request.index == 2:
                raise DataError("image is corrupt")
            return super().__getitem__(request)

    dataset = Broken(**handmade.config(world))
    batches = checked(build_loader(dataset, SceneShardSampler(dataset.sequences), 1), 5)
    assert [next(batches).frames[0].meta.token[0] for _ in range(2)] == ["sample0_0", "sample0_1"]
    with pytest.raises(DataError, match="image is corrupt"):
        next(batches)
