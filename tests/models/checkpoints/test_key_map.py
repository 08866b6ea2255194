"""Published names to ours."""

from __future__ import annotations

import json
import random

import pytest
import torch
from published_manifests import MANIFESTS, SHARED, network, published, table_of

from mmdet3d_plugin.errors import CheckpointError
from mmdet3d_plugin.models.checkpoints import Drop, KeyTable, Rename, load_published
from mmdet3d_plugin.models.checkpoints.tables import ALOCC, BEVDETOCC

MINI = "alocc_2d_mini_r50_256x704_bevdet_preatrain_16f"
FULL = "alocc_2d_r50_256x704_bevdet_preatrain_16f"
BEVDET = "bevdetocc_r50_256x704_bevdet_pretrain_solofusion_16f"
GRID = {"view_transformer.dx", "view_transformer.bx", "view_transformer.nx"}
every_checkpoint = pytest.mark.parametrize("stem", MANIFESTS)


def load(stem, state):
    return load_published(network(stem), state, table_of(stem), stem)


@every_checkpoint
class TestPublishedCheckpoint:
    """Loading is strict both ways for each of the published checkpoints."""

    def test_every_key_is_used_tied_or_dropped_with_a_reason_and_every_parameter_filled(self, stem):
        state, table = published(stem), table_of(stem)
        dropped = load(stem, state)
        assert all(reason for reason in dropped)
        unused = {key for keys in dropped.values() for key in keys}
        assert unused >= GRID | MANIFESTS[stem]["aliases"].keys()
        learned = {key for key in unused if state[key].is_floating_point()}
        assert learned == GRID | MANIFESTS[stem]["aliases"].keys()
        conversion = table.match(state)
        assert sorted([*conversion.origin.values(), *unused]) == sorted(state)
        assert conversion.origin.keys() == network(stem).state_dict().keys()

    def test_the_network_has_as_many_parameters(self, stem):
        constants = sum(published(stem)[key].numel() for key in GRID)
        assert sum(p.numel() for p in network(stem).parameters()) == MANIFESTS[stem]["n_params"] - constants

    def test_any_key_removed_is_named_in_both_languages(self, stem):
        table = table_of(stem)
        origin = {theirs: ours for ours, theirs in table.match(published(stem)).origin.items()}
        for key in random.Random(stem).sample(sorted(origin), 3):
            state = published(stem)
            del state[key]
            with pytest.raises(CheckpointError, match="1 tensors of the model are not in it") as error:
                load(stem, state)
            assert origin[key] in str(error.value)
            assert key in str(error.value)

    def test_any_key_renamed_is_named_and_so_is_the_hole(self, stem):
        keys = sorted(published(stem).keys() - GRID)
        for key in random.Random(stem).sample(keys, 3):
            state = published(stem)
            renamed = f"{key}_2"
            state[renamed] = state.pop(key)
            with pytest.raises(CheckpointError) as error:
                load(stem, state)
            assert renamed in str(error.value)
            if key not in MANIFESTS[stem]["aliases"]:
                assert key in str(error.value).replace(renamed, "")

    def test_a_tied_tensor_with_other_values_is_refused(self, stem):
        for key, twin in MANIFESTS[stem]["aliases"].items():
            state = {key: torch.zeros(3), twin: torch.zeros(3)}
            assert not table_of(stem).match(state).problems
            state[key] = torch.ones(3)
            (problem,) = table_of(stem).match(state).problems
            assert key in problem
            assert twin in problem


@pytest.mark.skipif(not SHARED.is_dir(), reason="the manifests are not beside the repository")
@every_checkpoint
def test_the_copy_is_that_of_the_measured_manifest(stem):
    manifest = json.loads((SHARED / f"{stem}.json").read_text())
    assert all(MANIFESTS[stem][name] == manifest[name] for name in MANIFESTS[stem])


def test_the_network_of_the_other_method_is_refused():
    with pytest.raises(CheckpointError, match="belongs to another model"):
        load_published(network(BEVDET), published(MINI), ALOCC, "ALOcc file")


@pytest.mark.parametrize(
    ("number", "space"), [(18, "OpenOcc in the profile `published`"), (17, "Occ3D-Waymo in the profile `published`")]
)
def test_another_number_of_classes_suggests_label_spaces(number, space):
    state = published(MINI)
    with torch.device("meta"):
        state["alocc_head.query_feat.weight"] = torch.empty(number, 32)
    with pytest.raises(CheckpointError, match=rf"head\.queries: \({number}, 32\), model \(19, 32\)") as error:
        load(MINI, state)
    assert f"trained with {number} class channels, the model has 19 (Occ3D-nuScenes with a void" in str(error.value)
    assert space in str(error.value)


def test_another_width_is_not_taken_for_another_number_of_classes():
    state = published(MINI)
    with torch.device("meta"):
        state["alocc_head.query_feat.weight"] = torch.empty(18, 48)
    with pytest.raises(CheckpointError) as error:
        load(MINI, state)
    assert "class channels" not in str(error.value)


def test_a_tie_without_its_twin_and_with_another_shape_are_problems():
    key = "depth_net.occ_conv.0.downsample.weight"
    twin = "depth_net.depth_conv.0.downsample.weight"
    (alone,) = ALOCC.match({key: torch.zeros(1)}).problems
    assert f"not {twin}" in alone
    (shape,) = ALOCC.match({key: torch.zeros(1), twin: torch.zeros(2)}).problems
    assert "(1,)" in shape
    assert "(2,)" in shape
    with pytest.raises(CheckpointError, match="damaged"):
        ALOCC.convert({key: torch.zeros(1), twin: torch.full((1,), torch.nan)})


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
    assert dropped == {f"the same tensor as {keys[0]}": [keys[1]]}


@pytest.mark.parametrize(
    ("rule", "published_key"),
    [
        (Rename(r"a\.(\d)\.(.*)", r"b.\1.c.\2"), "a.3.x.y"),
        (Rename(r"a\.(x|y)\.(?P<end>.*)", r"b.\g<end>.\1"), "a.y.weight"),
        (Rename(r"a\.weight", "b.weight"), "a.weight"),
        (Rename(r"a\d\.(.*)", r"b.\1"), None),  # which digit is lost
        (Rename(r"a\.([ab])\.(.*)", r"b.\2"), None),
    ],
)
def test_a_rule_tells_which_key_becomes_ours(rule, published_key):
    table = KeyTable("toy", "a", (rule,))
    if published_key is None:
        assert table.published_names("b.x") == []
        return
    (ours,) = table.convert({published_key: torch.zeros(1)})[0]
    assert table.published_names(ours) == [published_key]
    assert table.published_names(f"other.{ours}") == []


def test_the_first_rule_decides_and_no_target_is_filled_twice():
    table = KeyTable("toy", "a.", (Drop(r"a\.x", "unused"), Rename(r"a\.(.*)", r"b.\1"), Rename("c", "b.y")))
    ours, dropped = table.convert({"a.x": torch.zeros(1), "a.y": torch.ones(1)})
    assert list(ours) == ["b.y"]
    assert dropped == {"unused": ["a.x"]}
    with pytest.raises(CheckpointError, match=r"'a\.y' and 'c' both become 'b\.y'"):
        table.convert({"a.y": torch.ones(1), "c": torch.ones(1)})
