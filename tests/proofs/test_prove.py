"""Proofs from world to verdict, with models that have not learned."""

from __future__ import annotations

import pytest

from mmdet3d_plugin.datasets.synthetic.presets import PRESETS
from mmdet3d_plugin.errors import ConfigError, EvaluationError
from mmdet3d_plugin.evaluation.verdict import read_verdict
from mmdet3d_plugin.proofs import PROOFS, Comparison, Overfit, prove, run


@pytest.fixture
def data_dir(tiny_world, tmp_path, monkeypatch):
    """A folder with the tiny world; trainings end after one step."""
    load_config = run.load_config

    def one_step(path, options):
        return load_config(path, options | {"train_cfg.samples": 1, "train_cfg.checkpoint_every": 1})

    monkeypatch.setattr(run, "load_config", one_step)
    (tmp_path / "synthetic-tiny").symlink_to(tiny_world)
    return tmp_path


def test_every_proof_names_configs_and_a_world():
    for proof in PROOFS.values():
        stems = (proof.config,) if isinstance(proof, Overfit) else (proof.better, proof.worse)
        assert all((run.CONFIGS / f"{stem}.py").is_file() for stem in stems)
        assert proof.world in PRESETS


def test_an_unknown_proof_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no proof 'overfit'"):
        prove(["overfit"], tmp_path, tmp_path)


def test_what_has_not_been_learned_fails_after_all_have_run(data_dir, monkeypatch):
    monkeypatch.setitem(PROOFS, "semantics", Overfit("overfit_alocc", world="tiny"))
    monkeypatch.setitem(PROOFS, "flow", Overfit("overfit_aloccflow", "velocity", world="tiny"))
    with pytest.raises(EvaluationError, match=r"(?s)not proved.*semantics FAILS: .*mIoU@camera.*flow FAILS: .*m/s"):
        prove(["semantics", "flow"], data_dir / "work", data_dir)
    assert (data_dir / "work/overfit_aloccflow/result.json").is_file()
    verdict = read_verdict(data_dir / "work/flow.verdict.json")
    assert verdict.name == "flow"
    assert not verdict.holds


def test_pairs_are_compared_where_no_camera_sees(data_dir, monkeypatch):
    pair = Comparison("lidar_depth", "lidar_depth", "occluded movers", world="tiny")
    monkeypatch.setitem(PROOFS, "pair", pair)
    # It does not beat itself.
    with pytest.raises(EvaluationError, match="pair FAILS: lidar_depth beats lidar_depth in occluded movers"):
        prove(["pair"], data_dir / "work", data_dir)
