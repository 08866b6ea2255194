"""The golden labels and draws are those of the recipe, and the comparison of losses can fail."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from mmdet3d_plugin.errors import DataError, EvaluationError
from mmdet3d_plugin.parity import targets
from mmdet3d_plugin.parity.losses import _compare_gradients, compare_losses
from mmdet3d_plugin.parity.members import published_stems
from mmdet3d_plugin.parity.recipe import NUSCENES, WAYMO, Cameras, Inputs
from mmdet3d_plugin.parity.targets import ReplayedSampler

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"
ENTRY = {"t": 1, "grad_total_norm": 5.0, "grad_norm": {"a": 3.0, "b": 4.0, "c": 1e-9, "d": None}}
FACTS = {"lo": 1, "free": 18, "size": [20, 24, 16]}
needs_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason="golden figures are not beside the repository")


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    """The definition that came with the golden figures."""
    spec = importlib.util.spec_from_file_location("golden_recipe", GOLDEN / "recipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@needs_golden
@pytest.mark.parametrize(("t", "seed", "cameras"), [(0, 0, NUSCENES), (1, 7, NUSCENES), (1, 2, WAYMO)])
def test_targets_are_those_of_the_recipe(recipe: ModuleType, t: int, seed: int, cameras: Cameras) -> None:
    size = (64, 96)
    ours = targets.targets(t, Inputs(size, seed, cameras), FACTS, flow_labels=True)
    flow = recipe.occ_flow(t, tuple(FACTS["size"]), seed)  # [Y, X, Z, (v_y, v_x)]
    np.testing.assert_array_equal(ours.flow[0, 0].permute(1, 2, 0).numpy(), flow[..., 1])
    np.testing.assert_array_equal(ours.flow[0, 1].permute(1, 2, 0).numpy(), flow[..., 0])
    occupancy = recipe.occ_label(t, tuple(FACTS["size"]), seed, 1, 18, 18)
    semantics = recipe.sem_map(t, len(cameras), *size, seed, 1, 18)
    shifted = [np.where(a == 255, 255, a - 1) for a in (occupancy, semantics)]
    np.testing.assert_array_equal(ours.occupancy[0].permute(1, 2, 0).numpy(), shifted[0])
    np.testing.assert_array_equal(ours.image_semantics[0].numpy(), shifted[1])
    np.testing.assert_array_equal(ours.depth[0].numpy(), recipe.depth_map(t, len(cameras), *size, seed))


def test_replayed_draws_number_voxels_as_published() -> None:
    y, x, z = 4, 3, 2
    weights = torch.rand(y, x, z, generator=torch.Generator().manual_seed(0))
    weights[1] = 0
    keys = np.random.Generator(np.random.PCG64([5, 99, 0])).standard_exponential((2, y * x * z), np.float32)
    published = (weights.flatten() / torch.from_numpy(keys)).topk(6, dim=1).indices
    drawn = ReplayedSampler(5, (y, x, z)).draw(weights.permute(2, 0, 1).flatten(), 2, 6)
    ours = torch.zeros(2, z, y, x).flatten(1).scatter(1, drawn, 1.0).view(2, z, y, x).permute(0, 2, 3, 1)
    theirs = torch.zeros(2, y * x * z).scatter(1, published, 1.0).view(2, y, x, z)
    assert torch.equal(ours, theirs)


def test_every_draw_has_its_own_keys() -> None:
    sampler = ReplayedSampler(0, (4, 4, 4))
    first, second = (sampler.draw(torch.ones(64), 1, 64)[0].tolist() for _ in range(2))
    assert sorted(first) == sorted(second)
    assert first != second


class TestGradientGates:
    """One published figure of each kind against ours."""

    def verdicts(self, norms: dict[str, float]) -> list[bool]:
        return [c.passed for c in _compare_gradients(ENTRY, norms, "")]

    def test_equal_norms_pass(self) -> None:
        assert self.verdicts({"a": 3.0, "b": 4.0, "c": 5e-9}) == [True, True, True]

    def test_one_wrong_parameter_is_found(self) -> None:
        assert self.verdicts({"a": 3.2, "b": 3.853, "c": 1e-9})[2] is False

    def test_a_common_factor_is_found(self) -> None:
        assert self.verdicts({"a": 3.006, "b": 4.008, "c": 1e-9}) == [True, False, True]
        assert self.verdicts({"a": 3.018, "b": 4.024, "c": 1e-9}) == [False, False, True]

    def test_a_missing_parameter_is_an_error(self) -> None:
        with pytest.raises(EvaluationError, match="no gradient"):
            self.verdicts({"a": 3.0, "c": 1e-9})


def test_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "losses").mkdir()
    with pytest.raises(DataError, match="nowhere"):
        list(compare_losses("nowhere", tmp_path))


@needs_golden
@pytest.mark.parity
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "stem",
    [s for s in published_stems(GOLDEN) if (GOLDEN / "losses" / f"{s}.json").is_file()] if GOLDEN.is_dir() else [],
)
def test_losses_and_gradients_are_the_published_ones(stem: str) -> None:
    missed = [c for c in compare_losses(stem, GOLDEN) if not c.passed]
    assert not missed
