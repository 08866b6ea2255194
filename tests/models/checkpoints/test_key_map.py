"""Published names to ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mmdet3d_plugin.config import load_config
from mmdet3d_plugin.errors import CheckpointError
from mmdet3d_plugin.models.checkpoints import Drop, KeyTable, Rename, load_published
from mmdet3d_plugin.models.checkpoints.tables import ALOCC, BEVDETOCC, TABLES
from mmdet3d_plugin.parity import find_config
from mmdet3d_plugin.registry import MODELS

MANIFESTS = sorted((Path(__file__).parents[2] / "golden" / "manifests").glob("*.json"))


def published(path):
    with torch.device("meta"):
        entries = json.loads(path.read_text())["state_dict"]
        return {key: torch.empty(shape, dtype=getattr(torch, dtype)) for key, shape, dtype in entries}


def network(path):
    with torch.device("meta"):
        return MODELS.build(load_config(find_config(path.stem)).model.network)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda p: p.stem)
def test_published_state_dicts_fill_the_network_and_nothing_is_left(path):
    state = published(path)
    (table,) = (table for table in TABLES if table.recognises(state))
    dropped = load_published(network(path), state, table, path.stem)
    (keys,) = dropped.values()
    assert keys == ["view_transformer.dx", "view_transformer.bx", "view_transformer.nx"]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda p: p.stem)
def test_an_unknown_and_a_missing_key_are_both_refused(path):
    (table,) = (table for table in TABLES if table.recognises(published(path)))
    state = published(path)
    state["img_neck.surprise"] = state["img_neck.fpn_convs.0.conv.bias"]
    with pytest.raises(CheckpointError, match=r"img_neck\.surprise"):
        load_published(network(path), state, table, path.stem)
    state = published(path)
    del state["depth_net.bn.running_mean"]
    with pytest.raises(CheckpointError, match=r"not in it: view_transformer\.depth_net\.camera_norm\.running_mean"):
        load_published(network(path), state, table, path.stem)


def test_the_network_of_the_other_method_is_refused():
    alocc, bevdet = MANIFESTS
    with pytest.raises(CheckpointError, match="belongs to another model"):
        load_published(network(bevdet), published(alocc), ALOCC, "ALOcc file")


def test_another_number_of_classes_is_named():
    alocc = MANIFESTS[0]
    state = published(alocc)
    with torch.device("meta"):
        state["alocc_head.query_feat.weight"] = torch.empty(18, 32)
    with pytest.raises(CheckpointError, match=r"head\.queries: \(18, 32\), model \(19, 32\)") as error:
        load_published(network(alocc), state, ALOCC, "ALOcc file")
    assert "number of classes" in str(error.value)


def test_volume_kernels_are_turned_from_yxz_to_zyx():
    kernel = torch.arange(27.0).view(1, 1, 3, 3, 3)  # [O, I, Y, X, Z]
    ours, _ = BEVDETOCC.convert({"pre_process.layers.0.0.conv1.conv.weight": kernel})
    assert ours.keys() == {"volume_stem.block.conv1.weight"}
    found = ours["volume_stem.block.conv1.weight"]
    assert all(found[0, 0, z, y, x] == kernel[0, 0, y, x, z] for z in range(3) for y in range(3) for x in range(3))


def test_a_convolution_over_the_turned_volume_gives_the_turned_result():
    torch.manual_seed(0)
    kernel, volume = torch.rand(2, 3, 3, 3, 3), torch.rand(1, 3, 4, 5, 6)  # [.., Y, X, Z]
    (ours,) = BEVDETOCC.convert({"occupancy_head.final_conv.conv.weight": kernel})[0].values()
    theirs = torch.nn.functional.conv3d(volume, kernel)
    found = torch.nn.functional.conv3d(volume.permute(0, 1, 4, 2, 3), ours)
    torch.testing.assert_close(found.permute(0, 1, 3, 4, 2), theirs)


def test_a_tied_tensor_is_dropped_with_its_reason():
    keys = [f"depth_net.{name}.0.downsample.weight" for name in ("depth_conv", "occ_conv")]
    ours, dropped = ALOCC.convert(dict.fromkeys(keys, torch.zeros(1)))
    assert list(ours) == ["view_transformer.depth_net.shortcut.weight"]
    assert list(dropped.values()) == [[keys[1]]]
    assert "depth_conv.0.downsample" in next(iter(dropped))


def test_the_first_rule_decides_and_no_target_is_filled_twice():
    table = KeyTable("toy", "a.", (Drop(r"a\.x", "unused"), Rename(r"a\.(.*)", r"b.\1"), Rename("c", "b.y")))
    ours, dropped = table.convert({"a.x": torch.zeros(1), "a.y": torch.ones(1)})
    assert list(ours) == ["b.y"]
    assert dropped == {"unused": ["a.x"]}
    with pytest.raises(CheckpointError, match=r"'a\.y' and 'c' both become 'b\.y'"):
        table.convert({"a.y": torch.ones(1), "c": torch.ones(1)})
