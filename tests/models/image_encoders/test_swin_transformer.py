"""Swin Transformers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mmdet3d_plugin.errors import ConfigError
from mmdet3d_plugin.models.image_encoders import SwinTransformer
from mmdet3d_plugin.models.image_encoders.swin_transformer import PatchMerging


def small(**arguments):
    torch.manual_seed(0)
    return SwinTransformer(**{"channels": 32, "depths": (2, 2, 2, 2), "window": 4, "drop_path": 0.0} | arguments)


def test_swin_base_has_the_published_size():
    with torch.device("meta"):
        net = SwinTransformer(out_stages=(0, 2, 3))
    positions = 128 * 56 * 56
    # 86.7 million of the published Swin-B with windows of 12, where tables of 23^2 rows become ones of 31^2; without
    # its classifier, with positions and with one more norm.
    tables = sum(p.numel() for name, p in net.named_parameters() if "bias_table" in name)
    assert tables == 31**2 * (2 * 4 + 2 * 8 + 18 * 16 + 2 * 32)
    rest = sum(p.numel() for p in net.parameters()) - tables - positions
    assert rest == 86_878_584 - 23**2 * 376 + 2 * 512
    assert net.out_channels == (128, 512, 1024)
    assert net.num_layers == 24
    assert net.stages[3]["blocks"][1].drop_path.p == 0.25


def test_outputs_halve_the_resolution_and_double_the_width_per_stage():
    net = small(out_stages=(0, 1, 2, 3)).eval()
    torch.nn.init.constant_(net.patch_norm.weight, 3)
    outputs = net(torch.rand(2, 3, 64, 96))
    assert [tuple(o.shape) for o in outputs] == [(2, 32 << s, 16 >> s, 24 >> s) for s in range(4)]
    for output in outputs[1:]:  # normalised over channels
        torch.testing.assert_close(output.mean(1), torch.zeros_like(output[:, 0]), atol=1e-5, rtol=0)
        torch.testing.assert_close(output.var(1, correction=0), torch.ones_like(output[:, 0]), atol=1e-2, rtol=0)
    assert (outputs[0].var(1) > 5).all()  # but for the feature for matching


def test_images_that_the_strides_do_not_divide():
    assert [tuple(o.shape[2:]) for o in small().eval()(torch.rand(1, 3, 50, 70))] == [(4, 5), (2, 3)]


def test_finest_is_the_first_output_without_gradient():
    net = small(out_stages=(0, 2, 3)).eval()
    images = torch.rand(2, 3, 32, 64)
    finest = net.finest(images)
    assert not finest.requires_grad
    torch.testing.assert_close(finest, net(images)[0])
    assert "0" not in net.norms


def test_windows_are_shifted_in_every_second_block_unless_published():
    assert [b.attention.shift for s in small().stages for b in s["blocks"]] == [0, 2] * 4
    assert [b.attention.shift for s in small(shifted_windows=False).stages for b in s["blocks"]] == [0, 0] * 4


def test_positions_are_added_as_they_are_to_an_image_of_224_and_resized_to_others():
    net = small(depths=(0, 0, 0, 0), out_stages=(0,)).eval()
    with torch.no_grad():
        net.patches.weight.zero_()
        net.patches.bias.zero_()
        torch.nn.init.normal_(net.positions)
        torch.testing.assert_close(net(torch.rand(1, 3, 224, 224))[0], net.positions)
        resized = F.interpolate(net.positions, (8, 12), mode="bicubic", align_corners=False)
        torch.testing.assert_close(net(torch.rand(1, 3, 32, 48))[0], resized)


def test_merging_keeps_the_four_pixels_of_a_channel_together():
    net = PatchMerging(2)
    net.norm = torch.nn.Identity()
    net.reduction = torch.nn.Identity()
    x = torch.arange(8.0).view(1, 2, 2, 2)  # 4 y + 2 x + c
    assert net(x).flatten().tolist() == [0, 2, 4, 6, 1, 3, 5, 7]
    odd = net(torch.ones(1, 3, 1, 2))
    assert odd.shape == (1, 2, 1, 8)
    assert odd[0, 1, 0].tolist() == [1, 0, 0, 0, 1, 0, 0, 0]


def test_layers_are_numbered_through_all_stages():
    net = small(depths=(2, 2, 6, 2), out_stages=(2, 3))
    assert net.num_layers == 12
    for name, number in {
        "positions": 0,
        "patches.weight": 0,
        "patch_norm.bias": 0,
        "stages.0.blocks.0.norm1.weight": 1,
        "stages.0.merge.reduction.weight": 2,
        "stages.1.blocks.0.mlp.0.weight": 3,
        "stages.2.blocks.5.attention.bias_table": 10,
        "stages.2.merge.norm.weight": 10,
        "stages.3.blocks.1.attention.qkv.bias": 12,
        "norms.3.weight": None,
    }.items():
        assert name in dict(net.named_parameters())
        assert net.layer_number(name) == number, name
    assert small(depths=(2, 2, 6, 2), out_stages=(0, 1)).num_layers == 4  # those that are built


def test_activation_checkpointing_changes_nothing_but_memory():
    plain = small(drop_path=0.5, out_stages=(1,)).train()
    saving = small(drop_path=0.5, out_stages=(1,), activation_checkpointing=True).train()
    images = torch.rand(2, 3, 32, 32)
    for net in (plain, saving):
        torch.manual_seed(1)  # the same branches are dropped, in the recomputation too
        net(images)[0].square().mul(torch.linspace(0, 1, 64)[:, None, None]).sum().backward()
    for (name, expected), found in zip(plain.named_parameters(), saving.parameters()):
        torch.testing.assert_close(found.grad, expected.grad, msg=name)


@pytest.mark.parametrize(
    "arguments", [{"channels": 40}, {"out_stages": (3, 2)}, {"out_stages": ()}, {"depths": (2, 2)}]
)
def test_refuses_what_does_not_exist(arguments):
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        small(**arguments)
