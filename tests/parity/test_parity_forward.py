"""The comparison of stages passes for equal tensors, finds different ones, and takes everything from the file."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mmdet3d_plugin.config import load_config
from mmdet3d_plugin.errors import ConfigError, DataError, EvaluationError
from mmdet3d_plugin.models.checkpoints.tables import ALOCC
from mmdet3d_plugin.parity import Comparison, cli, compare_forward, find_config, forward, recipe
from mmdet3d_plugin.parity.members import figures_of, published_stems
from mmdet3d_plugin.parity.model import CONFIGS
from mmdet3d_plugin.parity.recipe import WAYMO, Inputs
from mmdet3d_plugin.parity.stages import STAGES, captured, yxz
from mmdet3d_plugin.registry import MODELS
from mmdet3d_plugin.structures import TemporalState

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"
needs_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason="golden figures are not beside the repository")
TOY = CONFIGS / "synthetic" / "alocc_2d_mini_tiny.py"
SEED, SIZE, TIMES = 9, (128, 352), (0, 1)
STAGE_NAMES = (  # what a mono 2-D model has
    "bev_encoder_in", "bev_encoder_out", "depthnet_context", "depthnet_depth_pred", "depthnet_geometry", "head_in",
    "history_fusion_out", "img_neck_out", "view_transformer_out",
)  # fmt: skip


@pytest.fixture(scope="module")
def model():
    cfg = load_config(TOY)
    for stage in (cfg.model.network.view_transformer, cfg.model.network.temporal):
        stage.grid.shape = (40, 40, 1)
    torch.manual_seed(0)
    return MODELS.build(cfg.model).eval()


@pytest.fixture(scope="module")
def recorded(model, tmp_path_factory):
    """A golden folder with the figures of the toy model itself, in the published format."""
    folder = tmp_path_factory.mktemp("golden") / "forward"
    folder.mkdir()
    state, frames, values = TemporalState(), [], {}
    for t in TIMES:
        with torch.inference_mode(), captured(model.network, STAGE_NAMES) as tensors:
            output, state = model.network(Inputs(SIZE, SEED, adjacent=False).frame(t), state)
        facts = {}
        for name, tensor in tensors.items():
            flat = tensor.flatten().numpy()
            facts[name] = {"shape": list(tensor.shape), "std": float(flat.std())}
            values[f"f{t}/{name}"] = flat[recipe.sample_positions(name, flat.size)]
        logits = yxz(output.prediction.logits)
        flat = logits[0].flatten(1).numpy()
        values[f"f{t}/logits"] = flat[:, recipe.logit_positions(flat.shape[1])]
        logit_facts = {"shape": list(logits.shape), "class_std": flat.std(axis=1).tolist()}
        labels = model.network.head.decode(output.prediction).occupancy
        values[f"f{t}/labels"] = labels[0].permute(2, 1, 0).numpy()
        frames.append({"t": t, "tensors": facts, "logits": logit_facts})
    facts = {"seed": SEED, "input_size": SIZE, "frames": frames}
    (folder / "toy.json").write_text(json.dumps(facts))
    np.savez(folder / "toy.npz", **values)
    return folder


@pytest.fixture
def golden(recorded, tmp_path, model, monkeypatch):
    """A copy of the recorded folder that a test may spoil."""
    shutil.copytree(recorded, tmp_path / "forward")
    monkeypatch.setattr(forward, "build_parity_model", lambda stem, golden, seed: model)
    monkeypatch.setattr(forward, "find_config", lambda stem: TOY)
    return tmp_path


def change(golden, key, function):
    path = golden / "forward" / "toy.npz"
    with np.load(path) as stored:
        values = dict(stored)
    values[key] = function(values[key])
    np.savez(path, **values)


def test_equal_figures_pass_and_every_stage_of_the_file_is_compared(golden):
    comparisons = list(compare_forward("toy", golden))
    assert all(c.passed and c.worst < 1e-5 for c in comparisons)
    expected = {(t, name) for t in TIMES for name in (*STAGE_NAMES, "logits", "labels")}
    assert {(c.frame, c.stage) for c in comparisons} == expected


@pytest.mark.parametrize("name", ["view_transformer_out", "logits", "head_in"])
def test_one_wrong_value_of_one_frame_is_found(golden, name):
    def spoil(values):
        values = values.copy()
        values.flat[7] += 0.05 * max(1.0, values.std())
        return values

    change(golden, f"f1/{name}", spoil)
    assert [(c.frame, c.stage) for c in compare_forward("toy", golden) if not c.passed] == [(1, name)]


def test_wrong_labels_are_counted(golden):
    def spoil(labels):
        labels = labels.copy()
        labels[:1] = (labels[:1] + 1) % 18
        return labels

    change(golden, "f0/labels", spoil)
    (missed,) = (c for c in compare_forward("toy", golden) if not c.passed)
    assert missed.stage == "labels"
    assert missed.worst == pytest.approx(1 / 40)


def test_another_shape_is_an_error_that_names_the_stage(golden):
    path = golden / "forward" / "toy.json"
    facts = json.loads(path.read_text())
    facts["frames"][0]["tensors"]["head_in"]["shape"][1] += 1
    path.write_text(json.dumps(facts))
    with pytest.raises(EvaluationError, match="stage head_in"):
        list(compare_forward("toy", golden))


def test_another_image_size_than_that_of_the_config_is_an_error(golden):
    path = golden / "forward" / "toy.json"
    path.write_text(path.read_text().replace("[128, 352]", "[64, 96]"))
    with pytest.raises(EvaluationError, match=r"(?s)images of another size.*\(128, 352\).*\(64, 96\)"):
        list(compare_forward("toy", golden))


def test_a_stage_that_the_network_lacks_and_an_unknown_one_are_named(model):
    with pytest.raises(EvaluationError, match=r"(?s)no stage stereo_cost_volume.*depth_net\.cost_volume"):
        captured(model.network, ["stereo_cost_volume"]).__enter__()
    with pytest.raises(EvaluationError, match=r"(?s)not known here.*surprise"):
        captured(model.network, ["img_neck_out", "surprise"]).__enter__()


@needs_golden
def test_every_stage_of_the_golden_files_is_known():
    named = set()
    for path in (GOLDEN / "forward").glob("*alocc*.json"), (GOLDEN / "forward").glob("bevdetocc*.json"):
        for file in path:
            named |= {name for entry in json.loads(file.read_text())["frames"] for name in entry["tensors"]}
    assert len(named) > 15
    assert named - {forward._FLOW} == named & STAGES.keys()


class TestFlow:
    """Decoded flow against published figures, which were stored as float16."""

    SHAPE = (3, 4, 5, 2)  # (X, Y, Z, 2)

    @pytest.fixture
    def ours(self):
        return torch.randn(1, 2, 5, 4, 3, generator=torch.Generator().manual_seed(0)) * 20

    @pytest.fixture
    def theirs(self, ours):
        flat = ours[0].permute(3, 2, 1, 0).flatten().half().float().numpy()
        return flat[recipe.sample_positions("flow_final", flat.size, 8192)]

    def test_rounding_of_the_published_file_is_no_error(self, ours, theirs):
        assert forward._flow_error(ours, theirs, self.SHAPE).max() < 1e-6

    def test_swapped_components_are_one(self, ours, theirs):
        assert forward._flow_error(ours.flip(1), theirs, self.SHAPE).max() > 1

    def test_a_model_without_flow_is_refused(self, theirs):
        with pytest.raises(EvaluationError, match="no flow"):
            forward._flow_error(None, theirs, self.SHAPE)


def test_what_a_config_feeds_its_model():
    mini = Inputs.of_config(load_config(find_config("alocc_2d_mini_r50_256x704_bevdet_preatrain_16f")), 3)
    assert (mini.image_size, mini.seed, mini.adjacent, mini.lidar_depth) == ((256, 704), 3, False, False)
    cfg = load_config(CONFIGS / "synthetic" / "alocc_2d_mini_waymo_tiny.py")
    cfg.test_dataloader.dataset.update(depth={"as_input": True}, load_adjacent=True)
    inputs = Inputs.of_config(cfg, 3)
    assert inputs.cameras is WAYMO
    frame = inputs.frame(1, batch=2)
    assert frame.lidar_depth.shape == (2, 5, *inputs.image_size)
    assert frame.adjacent.images.shape == frame.images.shape


@needs_golden
@pytest.mark.parametrize("stem", published_stems(GOLDEN) if GOLDEN.is_dir() else [])
def test_a_config_feeds_its_model_what_the_published_one_was_fed(stem):
    inputs = Inputs.of_config(load_config(find_config(stem)), 0)
    assert inputs.lidar_depth == ("gt_depth" in stem)
    if (figures := figures_of(stem, GOLDEN)) is None:
        return
    facts = json.loads((GOLDEN / "forward" / f"{figures}.json").read_text())
    tensors = facts["frames"][0]["tensors"]
    assert inputs.image_size == tuple(facts["input_size"])
    assert len(inputs.cameras) == tensors["depthnet_geometry"]["shape"][1]
    assert inputs.adjacent == ("stereo_cost_volume" in tensors)


def test_missing_files_and_configs_are_named(tmp_path):
    with pytest.raises(DataError, match=r"forward.nowhere\.json"):
        list(compare_forward("nowhere", tmp_path))
    with pytest.raises(ConfigError, match="did you mean 'bevdetocc_r50"):
        find_config("bevdetocc_r50_256x704_bevdet_pretrain_solofusion")


def test_gates_are_those_of_the_golden_readme():
    stereo, mono = {"stereo_cost_volume": 0}, {}
    assert forward._gate("img_neck_out", 0, stereo) == forward._gate("depthnet_context", 2, mono) == 1e-4
    assert forward._gate("stereo_cost_volume", 0, stereo) is None
    assert forward._gate("depthnet_depth_pred", 0, stereo) is None
    assert forward._gate("logits", 0, stereo) == 1e-2
    assert forward._gate("stereo_cost_volume", 1, stereo) == forward._gate("logits", 0, mono) == 5e-3


def test_nan_never_passes():
    assert not Comparison(0, "head_in", math.nan, math.nan, 5e-3).passed


def test_the_exit_status_tells_passed_missed_and_impossible(golden, capsys):
    assert cli.main([str(golden), "--config", "toy"]) == 0
    assert f"{2 * (len(STAGE_NAMES) + 2)} of {2 * (len(STAGE_NAMES) + 2)} comparisons pass" in capsys.readouterr().out
    change(golden, "f0/depthnet_context", lambda values: values + 1)
    assert cli.main([str(golden), "--config", "configs/alocc/toy.py"]) == 1
    assert "MISS  depthnet_context" in capsys.readouterr().out
    assert cli.main([str(golden), "--config", "nowhere"]) == 2
    assert "nowhere.json does not exist" in capsys.readouterr().err
    assert cli.main([str(golden), "--all"]) == 2  # there are no manifests


def test_volumes_are_compared_in_published_axes():
    volume = torch.arange(24).view(1, 1, 2, 3, 4)  # [B, C, Z, Y, X]
    assert yxz(volume).shape == (1, 1, 3, 4, 2)
    assert yxz(volume)[0, 0, 2, 3, 1] == volume[0, 0, 1, 2, 3]


@needs_golden
@pytest.mark.parity
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "stem", [s for s in published_stems(GOLDEN) if figures_of(s, GOLDEN) == s] if GOLDEN.is_dir() else []
)
def test_every_stage_is_the_published_one(stem):
    assert not [c for c in compare_forward(stem, GOLDEN) if not c.passed]


@needs_golden
def test_the_tables_know_the_published_models():
    manifest = json.loads((GOLDEN / "manifests" / "alocc_2d_mini_r50_256x704_bevdet_preatrain_16f.json").read_text())
    assert ALOCC.recognises(key for key, _, _ in manifest["state_dict"])
