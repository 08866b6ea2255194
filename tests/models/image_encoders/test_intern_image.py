"""InternImage with deformable convolutions of the fourth version."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mmdet3d_plugin.errors import ConfigError
from mmdet3d_plugin.models.image_encoders import InternImage
from mmdet3d_plugin.models.image_encoders.intern_image import DeformableConvolution


def small(**arguments):
    torch.manual_seed(0)
    return InternImage(**{"channels": 16, "depths": (1, 1, 2, 1), "drop_path": 0.0} | arguments)


def test_the_tiny_size_has_the_published_shapes():
    with torch.device("meta"):
        net = InternImage(out_stages=(0, 2, 3))
    assert net.out_channels == (64, 256, 512)
    sampling = [stage["blocks"][0].convolution.sampling for stage in net.stages]
    assert [layer.out_features for layer in sampling] == [112, 216, 432, 864]  # 27 per group, up to a multiple of 8
    assert [stage["blocks"][0].convolution.groups for stage in net.stages] == [4, 8, 16, 32]
    assert net.stages[3]["blocks"][3].drop_path.p == pytest.approx(0.2)


def test_outputs_halve_the_resolution_and_double_the_width_per_stage_and_are_normalised():
    outputs = small(out_stages=(0, 1, 2, 3)).eval()(torch.rand(2, 3, 64, 96))
    assert [tuple(o.shape) for o in outputs] == [(2, 16 << s, 16 >> s, 24 >> s) for s in range(4)]
    for output in outputs:
        torch.testing.assert_close(output.mean(1), torch.zeros_like(output[:, 0]), atol=1e-5, rtol=0)
        torch.testing.assert_close(output.var(1, correction=0), torch.ones_like(output[:, 0]), atol=1e-2, rtol=0)


def test_finest_is_the_first_output_without_gradient():
    net = small(out_stages=(0, 2, 3)).eval()
    images = torch.rand(2, 3, 32, 64)
    finest = net.finest(images)
    assert not finest.requires_grad
    torch.testing.assert_close(finest, net(images)[0])


def test_a_new_convolution_is_the_mean_of_nine_values():
    torch.manual_seed(0)
    net = small().stages[1]["blocks"][0].convolution
    x = torch.rand(2, 5, 6, 32)
    with torch.no_grad():
        mean = F.avg_pool2d(net.value(x).permute(0, 3, 1, 2), 3, stride=1, padding=1).permute(0, 2, 3, 1)
        torch.testing.assert_close(net(x), net.output(mean))


def test_a_group_has_eighteen_offsets_then_nine_weights():
    net = DeformableConvolution(32)
    torch.nn.init.eye_(net.value.weight)
    torch.nn.init.eye_(net.output.weight)
    torch.nn.init.zeros_(net.sampling.weight)
    with torch.no_grad():
        net.value.bias.zero_()
        net.sampling.bias.zero_()
        # Group 1: tap 5 = (x 0, y 1) weighs 2 and is moved by (1, -1); so it reads the pixel to the right.
        net.sampling.bias[27 + 2 * 5 : 27 + 2 * 5 + 2] = torch.tensor([1.0, -1.0])
        net.sampling.bias[27 + 18 + 5] = 2
        net.sampling.bias[54:] = 100  # nothing reads the filling
        x = torch.rand(1, 3, 4, 32)
        out = net(x)
    assert (out[..., :16] == 0).all()
    torch.testing.assert_close(out[:, :, :3, 16:], 2 * x[:, :, 1:, 16:])
    assert (out[:, :, 3, 16:] == 0).all()


def test_coordinates_stay_in_single_precision_under_autocast():
    net = DeformableConvolution(16)
    x = torch.rand(1, 4, 4, 16)
    seen = []
    net.sampling.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert net(x).dtype == torch.bfloat16
        net(x.bfloat16())
    assert seen == [torch.float32, torch.float32]


def test_activation_checkpointing_changes_nothing_but_memory():
    plain = small(drop_path=0.5, out_stages=(2,)).train()
    saving = small(drop_path=0.5, out_stages=(2,), activation_checkpointing=True).train()
    images = torch.rand(2, 3, 32, 32)
    for net in (plain, saving):
        torch.manual_seed(1)  # the same branches are dropped, in the recomputation too
        net(images)[0].mul(torch.linspace(0, 1, 64)[:, None, None]).sum().backward()
    for (name, expected), found in zip(plain.named_parameters(), saving.parameters()):
        torch.testing.assert_close(found.grad, expected.grad, msg=name)


@pytest.mark.parametrize(
    "arguments", [{"channels": 40}, {"out_stages": (3, 2)}, {"out_stages": (4,)}, {"depths": (1, 1)}]
)
def test_refuses_what_does_not_exist(arguments):
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        small(**arguments)
