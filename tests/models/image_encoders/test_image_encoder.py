"""Image encoders at toy size."""

from __future__ import annotations

import copy

import pytest
import torch

from mmdet3d_plugin.errors import ConfigError
from mmdet3d_plugin.models.image_encoders import ImageEncoder, ResNet, TopDownNeck
from mmdet3d_plugin.parity import recipe


@pytest.fixture
def frame():
    return recipe.frame(1, (64, 96), seed=3)


def encoder(out_stages, neck_inputs, **backbone):
    return ImageEncoder(
        dict(type="ResNet", depth=18, out_stages=out_stages, base_channels=4, **backbone),
        {"type": "TopDownNeck", "in_channels": neck_inputs, "out_channels": 8},
    )


@pytest.mark.parametrize(("depth", "expansion"), [(18, 1), (50, 4)])
def test_resnet_halves_the_resolution_and_doubles_the_width_per_stage(depth, expansion):
    net = ResNet(depth, (0, 1, 2, 3), base_channels=4)
    outputs = net(torch.rand(2, 3, 64, 96))
    widths = tuple(4 * 2**s * expansion for s in range(4))
    assert net.out_channels == widths
    assert [tuple(o.shape) for o in outputs] == [(2, w, 16 >> s, 24 >> s) for s, w in enumerate(widths)]


def test_resnet_50_is_the_torchvision_architecture():
    with torch.device("meta"):
        net = ResNet(50, (2, 3))
    keys = net.state_dict()
    assert sum(p.numel() for p in net.parameters()) == 23_508_032  # ResNet-50 without its classifier
    assert keys["layer3.0.downsample.0.weight"].shape == (1024, 512, 1, 1)
    assert keys["layer4.2.bn3.running_var"].shape == (2048,)
    assert net.layer2[0].conv2.stride == (2, 2)
    assert net.layer2[0].conv1.stride == (1, 1)


def test_stages_after_the_last_output_are_not_built():
    assert not any(key.startswith("layer4") for key in ResNet(18, (2,), base_channels=4).state_dict())


@pytest.mark.parametrize("arguments", [{"depth": 49}, {"out_stages": (3, 2)}, {"out_stages": (4,)}])
def test_resnet_refuses_what_does_not_exist(arguments):
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        ResNet(**arguments)


def test_finest_is_the_first_output_without_gradient_but_with_statistics():
    net = ResNet(18, (0, 2, 3), base_channels=4)
    images = torch.rand(2, 3, 32, 32)
    before = net.bn1.running_mean.clone()
    net.train().finest(images)
    assert not torch.equal(net.bn1.running_mean, before)
    net.eval()
    finest = net.finest(images)
    assert not finest.requires_grad
    torch.testing.assert_close(finest, net(images)[0])


def test_activation_checkpointing_changes_nothing_but_memory():
    torch.manual_seed(0)
    plain = ResNet(18, (1,), base_channels=4).train()
    saving = ResNet(18, (1,), base_channels=4, activation_checkpointing=True).train()
    saving.load_state_dict(plain.state_dict())
    images = torch.rand(2, 3, 32, 32)
    for net in (plain, saving):
        net(images)[0].square().sum().backward()
    for (name, expected), found in zip(plain.named_parameters(), saving.parameters()):
        torch.testing.assert_close(found.grad, expected.grad, msg=name)
    for (name, expected), found in zip(plain.state_dict().items(), saving.state_dict().values()):
        torch.testing.assert_close(found, expected, msg=name)


def test_neck_adds_the_coarse_level_to_the_four_pixels_it_covers():
    neck = TopDownNeck((1, 1), 1)
    with torch.no_grad():
        for lateral, factor in zip(neck.lateral, (1.0, 10.0)):
            lateral.weight.fill_(factor)
        neck.output.weight.zero_()[0, 0, 1, 1] = 1
    fine, coarse = torch.arange(16.0).view(1, 1, 4, 4), torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    expected = fine + 10 * coarse.repeat_interleave(2, -1).repeat_interleave(2, -2)
    torch.testing.assert_close(neck([fine, coarse]), expected)


def test_a_spare_fine_level_is_matched_with_the_adjacent_images(frame):
    net = encoder((0, 2, 3), (16, 32)).eval()
    features = net(frame)
    assert [tuple(level.shape) for level in features.levels] == [(1, 6, 4, 16, 24), (1, 6, 8, 4, 6)]
    swapped = copy.copy(frame)
    swapped.images = frame.adjacent.images
    torch.testing.assert_close(features.adjacent, net(swapped).levels[0])


def test_without_spare_level_adjacent_images_are_not_encoded(frame):
    features = encoder((2, 3), (16, 32)).eval()(frame)
    assert len(features.levels) == 1
    assert features.adjacent is None


def test_a_neck_with_more_inputs_than_the_backbone_has_outputs_is_refused():
    with pytest.raises(ConfigError, match="neck does not fit"):
        encoder((3,), (16, 32))
