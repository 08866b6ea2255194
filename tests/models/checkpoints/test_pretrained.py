"""Starting from weights of image backbones, under the names that others give them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from mmdet3d_plugin.errors import CheckpointError
from mmdet3d_plugin.models.checkpoints import load_pretrained, require_source, start_from
from mmdet3d_plugin.models.checkpoints.pretrained import SOURCES
from mmdet3d_plugin.models.checkpoints.tables.backbones import map_of_positions, merged_by_channel
from mmdet3d_plugin.models.image_encoders import ImageEncoder
from mmdet3d_plugin.models.image_encoders.swin_transformer import PatchMerging

RESNET = {"type": "ResNet", "depth": 18, "out_stages": (0, 2, 3), "base_channels": 4}
SWIN = {"type": "SwinTransformer", "channels": 32, "depths": (1, 1, 2, 1), "window": 4, "out_stages": (0, 2, 3)}
INTERN = {"type": "InternImage", "channels": 16, "depths": (1, 1, 2, 1), "out_stages": (0, 2, 3)}


class Network(nn.Module):
    def __init__(self, backbone, widths):
        super().__init__()
        self.image_encoder = ImageEncoder(backbone, {"type": "TopDownNeck", "in_channels": widths, "out_channels": 8})
        self.head = nn.Linear(2, 3)


class Model(nn.Module):
    def __init__(self, backbone=RESNET, widths=(16, 32)):
        super().__init__()
        self.network = Network(backbone, widths)


NETWORKS = {"resnet": (RESNET, (16, 32)), "swin": (SWIN, (128, 256)), "intern": (INTERN, (64, 128))}


def network(name, seed=0):
    torch.manual_seed(seed)
    return Network(*NETWORKS[name])


def filled(shapes):
    """Tensors of these shapes, all different."""
    generator = torch.Generator().manual_seed(5)
    return {key: torch.randn(shape, generator=generator) for key, shape in shapes.items()}


def mmdet_swin():
    """Names and shapes of the small Swin as mmdetection has them."""
    shapes = {"patch_embed.projection.weight": (32, 3, 4, 4), "absolute_pos_embed": (1, 32, 56, 56)}
    shapes |= dict.fromkeys(("patch_embed.projection.bias", "patch_embed.norm.weight", "patch_embed.norm.bias"), (32,))
    for stage, depth in enumerate((1, 1, 2, 1)):
        c = 32 << stage
        for block in range(depth):
            start = f"stages.{stage}.blocks.{block}"
            shapes |= {
                f"{start}.attn.w_msa.relative_position_bias_table": (49, 1 << stage),
                f"{start}.attn.w_msa.relative_position_index": (16, 16),
                f"{start}.attn.w_msa.qkv.weight": (3 * c, c),
                f"{start}.attn.w_msa.qkv.bias": (3 * c,),
                f"{start}.attn.w_msa.proj.weight": (c, c),
                f"{start}.ffn.layers.0.0.weight": (4 * c, c),
                f"{start}.ffn.layers.0.0.bias": (4 * c,),
                f"{start}.ffn.layers.1.weight": (c, 4 * c),
            }
            vectors = ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias", "attn.w_msa.proj.bias")
            shapes |= {f"{start}.{name}": (c,) for name in (*vectors, "ffn.layers.1.bias")}
        if stage < 3:
            shapes |= {f"stages.{stage}.downsample.norm.{end}": (4 * c,) for end in ("weight", "bias")}
            shapes[f"stages.{stage}.downsample.reduction.weight"] = (2 * c, 4 * c)
        shapes |= {f"norm{stage}.{end}": (c,) for end in ("weight", "bias")}
    return filled(shapes)


OFFICIAL_NAMES = (
    ("patch_embed.projection", "patch_embed.proj"),
    ("stages.", "layers."),
    ("attn.w_msa.", "attn."),
    ("ffn.layers.0.0", "mlp.fc1"),
    ("ffn.layers.1", "mlp.fc2"),
)


def official_swin():
    """The same weights as the authors of Swin write them."""
    state = {}
    for key, tensor in mmdet_swin().items():
        for theirs, official in OFFICIAL_NAMES:
            key = key.replace(theirs, official)
        if key.startswith("norm"):
            if not key.startswith("norm3"):
                continue
            key = key.replace("norm3", "norm")
        if "downsample" in key:  # (channel, line, column) to (column, line, channel)
            tensor = tensor.unflatten(-1, (-1, 2, 2)).movedim(-3, -1).transpose(-3, -2).flatten(-3)
        if key == "absolute_pos_embed":
            tensor = tensor.flatten(2).transpose(1, 2)
        state[key] = tensor
    return state | {"head.weight": torch.zeros(10, 256), "layers.2.blocks.1.attn_mask": torch.zeros(1, 16, 16)}


def intern_image():
    """Names and shapes of the small InternImage as its authors have them, with a classifier."""
    shapes = {"patch_embed.conv1.weight": (8, 3, 3, 3), "patch_embed.conv2.weight": (16, 8, 3, 3)}
    for name, c in (("conv1", 8), ("conv2", 16)):
        shapes[f"patch_embed.{name}.bias"] = (c,)
        shapes |= {f"patch_embed.norm{name[-1]}.1.{end}": (c,) for end in ("weight", "bias")}
    for level, depth in enumerate((1, 1, 2, 1)):
        c = 16 << level
        sampling = 8 * math.ceil(27 * (1 << level) / 8)
        for block in range(depth):
            start = f"levels.{level}.blocks.{block}"
            shapes |= {f"{start}.{name}": (c,) for name in ("gamma1", "gamma2", "dcn.value_proj.bias")}
            shapes |= {f"{start}.norm{n}.0.{end}": (c,) for n in (1, 2) for end in ("weight", "bias")}
            shapes |= {f"{start}.dcn.{name}_proj.weight": (c, c) for name in ("value", "output")}
            shapes |= {f"{start}.dcn.offset_mask.weight": (sampling, c), f"{start}.dcn.offset_mask.bias": (sampling,)}
            shapes |= {f"{start}.mlp.fc1.weight": (4 * c, c), f"{start}.mlp.fc1.bias": (4 * c,)}
            shapes[f"{start}.mlp.fc2.weight"] = (c, 4 * c)
        shapes |= {f"levels.{level}.norm.0.{end}": (c,) for end in ("weight", "bias")}
        if level < 3:
            shapes[f"levels.{level}.downsample.conv.weight"] = (2 * c, c, 3, 3)
            shapes |= {f"levels.{level}.downsample.norm.1.{end}": (2 * c,) for end in ("weight", "bias")}
    return filled(shapes) | {"conv_head.0.weight": torch.zeros(1), "head.weight": torch.zeros(10, 128)}


def torchvision_resnet():
    state = network("resnet", seed=7).image_encoder.backbone.state_dict()
    return state | {"fc.weight": torch.zeros(1000, 32), "fc.bias": torch.zeros(1000)}


def bevdet():
    """The image encoder of a stereo BEVDet, and parts that ours does not have."""
    source = network("resnet", seed=7).image_encoder
    state = {f"img_backbone.{k}": v for k, v in source.backbone.state_dict().items()}
    for key, tensor in source.neck.state_dict().items():
        key = key.replace("lateral.0", "lateral_convs.0.conv").replace("lateral.1", "lateral_convs.1.conv")
        state[f"img_neck.{key.replace('output', 'fpn_convs.0.conv')}"] = tensor
    others = (
        "img_view_transformer.depth_net.0.weight",
        "pre_process_net.layers.0.0.conv1.weight",
        "pts_bbox_head.bias",
    )
    return state | {key: torch.zeros(3) for key in others}


FILES = {
    "torchvision": ("resnet", torchvision_resnet()),
    "bevdet": ("resnet", bevdet()),
    "mmdet swin": ("swin", mmdet_swin()),
    "official swin": ("swin", official_swin()),
    "intern": ("intern", intern_image()),
    "detector": ("swin", {f"backbone.{k}": v for k, v in mmdet_swin().items()} | {"neck.fpn": torch.zeros(1)}),
}


@pytest.mark.parametrize("file", FILES)
def test_every_kind_of_file_fills_the_whole_backbone(file):
    name, state = FILES[file]
    net = network(name)
    before = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    report = load_pretrained(net, state, file)
    # The authors of Swin normalise only what goes into their classifier.
    lacks = (
        {f"image_encoder.backbone.norms.2.{end}" for end in ("weight", "bias")} if file == "official swin" else set()
    )
    assert report.is_complete == (not lacks)
    assert not report.mismatched
    after = net.state_dict()
    changed = {key for key in after if not torch.equal(after[key], before[key])}
    assert changed <= set(report.taken)
    backbone = {key for key in after if key.startswith("image_encoder.backbone.")}
    assert backbone - set(report.taken) == lacks
    neck = [key for key in after if key.startswith("image_encoder.neck.")]
    assert (set(neck) <= set(report.taken)) == (file == "bevdet")
    assert set(report.random) == {"head.weight", "head.bias"} | lacks | (set() if file == "bevdet" else set(neck))
    # Every key of the file was either taken or is listed as dropped.
    assert len(report.taken) + sum(map(len, report.dropped.values())) == len(state)


def test_the_classifier_and_foreign_parts_are_listed_as_dropped():
    dropped = load_pretrained(network("resnet"), torchvision_resnet(), "file").dropped
    assert list(dropped.values()) == [("fc.weight", "fc.bias")]
    text = str(load_pretrained(network("resnet"), bevdet(), "file"))
    assert "3 tensors (img_view_transformer 1, pre_process_net 1, pts_bbox_head 1)" in text
    assert "image_encoder.backbone 120, image_encoder.neck 6" in text
    assert "random:   2 tensors (head 2)" in text


@pytest.mark.parametrize("wrap", ["state_dict", "model"])
def test_both_writings_of_swin_give_the_same_network(wrap, tmp_path):
    images = torch.rand(1, 3, 40, 64)
    outputs = []
    for state in (mmdet_swin(), official_swin()):
        torch.save({wrap: {f"module.{k}": v for k, v in state.items()}, "epoch": 3}, tmp_path / "swin.pth")
        model = Model(*NETWORKS["swin"])
        assert start_from(model, tmp_path / "swin.pth") is not None
        outputs.append(model.network.image_encoder.backbone.eval())
    for name, expected in outputs[0].named_parameters():
        if not name.startswith("norms.2"):  # which the official file does not have
            torch.testing.assert_close(outputs[1].get_parameter(name), expected, msg=name)
    torch.testing.assert_close(outputs[0].finest(images), outputs[1].finest(images))


def test_patch_merging_of_the_authors_concatenates_the_pixels_columns_outside():
    # Their input is x[0::2, 0::2], x[1::2, 0::2], x[0::2, 1::2], x[1::2, 1::2] in [line, column], one after the other.
    torch.manual_seed(0)
    x, official = torch.rand(1, 4, 6, 3), torch.rand(6, 12)
    parts = [x[:, line::2, column::2] for column in (0, 1) for line in (0, 1)]
    expected = torch.cat(parts, dim=-1) @ official.t()
    net = PatchMerging(3)
    net.norm = nn.Identity()
    net.reduction.weight.data = merged_by_channel(official)
    torch.testing.assert_close(net(x), expected)


def test_positions_of_the_authors_are_a_row_per_patch():
    table = torch.arange(18.0).view(1, 9, 2)
    positions = map_of_positions(table)
    assert positions.shape == (1, 2, 3, 3)
    assert positions[0, :, 1, 2].tolist() == table[0, 5].tolist()
    assert map_of_positions(positions) is positions


@pytest.mark.parametrize("key", ["layer1.0.conv1.weight", "layer2.0.bn1.running_mean"])
def test_a_missing_key_and_a_renamed_one_are_reported(key):
    state = torchvision_resnet()
    state[f"{key}_old"] = state.pop(key)
    report = load_pretrained(network("resnet"), state, "file")
    assert not report.is_complete
    assert f"image_encoder.backbone.{key}" in report.random
    assert f"{key}_old" in [key for keys in report.dropped.values() for key in keys]
    assert f"random in the image encoder: image_encoder.backbone.{key}" in str(report)


def test_another_shape_is_listed_and_not_taken():
    state = torchvision_resnet()
    state["conv1.weight"] = torch.zeros(4, 3, 3, 3)
    net = network("resnet")
    before = net.image_encoder.backbone.conv1.weight.clone()
    report = load_pretrained(net, state, "file")
    assert report.mismatched == ("image_encoder.backbone.conv1.weight: (4, 3, 3, 3), model (4, 3, 7, 7)",)
    assert report.mismatched[0] in str(report)
    assert torch.equal(net.image_encoder.backbone.conv1.weight, before)


@pytest.mark.parametrize(("name", "file"), [("swin", "torchvision"), ("resnet", "intern"), ("intern", "official swin")])
def test_a_file_without_the_backbone_is_refused(name, file):
    with pytest.raises(CheckpointError, match="holds nothing for the backbone"):
        load_pretrained(network(name), FILES[file][1], file)


def test_weights_twice_are_refused():
    state = official_swin()
    state["norm3.weight"] = state["norm.weight"]
    with pytest.raises(CheckpointError, match=r"(?s)twice.*norms\.3\.weight"):
        load_pretrained(network("swin"), state, "file")


def test_a_checkpoint_of_our_own_fills_the_whole_model_strictly(tmp_path):
    source, target = Model(), Model()
    torch.save({"state_dict": source.state_dict()}, tmp_path / "own.pth")
    assert start_from(target, tmp_path / "own.pth") is None
    torch.testing.assert_close(target.network.head.weight, source.network.head.weight)
    state = source.state_dict()
    del state["network.head.bias"]
    torch.save({"state_dict": state}, tmp_path / "own.pth")
    with pytest.raises(CheckpointError, match=r"head\.bias"):
        start_from(target, tmp_path / "own.pth")


class Payload:
    """Something that a plain unpickler would have to import code for."""


def test_a_file_that_needs_code_is_refused(tmp_path):
    torch.save({"model": torchvision_resnet(), "args": Payload()}, tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match="would run code"):
        start_from(Model(), tmp_path / "file.pth")


@pytest.mark.parametrize("name", [*SOURCES, "mine.pth"])
def test_a_source_that_is_not_there_is_refused_with_two_ways_out(name, tmp_path):
    with pytest.raises(CheckpointError, match="does not exist") as error:
        require_source(tmp_path / name)
    assert "load_from=None" in str(error.value)
    assert ("github.com" in str(error.value)) == (name in SOURCES)
    (tmp_path / name).touch()
    require_source(tmp_path / name)
