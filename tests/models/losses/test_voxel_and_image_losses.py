"""Cross entropy over voxels, and mask losses of image patches."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from mmdet3d_plugin.errors import ConfigError
from mmdet3d_plugin.models.losses import ImageSemanticsLoss, VoxelCrossEntropy
from mmdet3d_plugin.models.losses.reduction import reduce_mean
from mmdet3d_plugin.structures import OCC3D_NUSCENES, DepthAux, OccOutput, OccPrediction, OccTargets

IGNORE = 255


@pytest.mark.parametrize("void", [False, True])
def test_voxel_cross_entropy_is_the_mean_over_labelled_voxels(void: bool) -> None:
    labels = torch.full((1, 1, 2, 2), IGNORE, dtype=torch.uint8)
    labels[0, 0, 0] = torch.tensor([0, OCC3D_NUSCENES.free])
    logits = torch.zeros(1, 18 + void, 1, 2, 2)
    logits[0, 17 + void, 0, 0, 1] = 3.0
    logits[0, :, 0, 1] = 1e4 * torch.randn(18 + void, 2)
    count = 18 + void
    expected = (math.log(count) + math.log(count - 1 + math.exp(3.0)) - 3.0) / 2
    loss = VoxelCrossEntropy(void_channel=void)(OccOutput(OccPrediction(logits)), OccTargets(labels))
    assert loss["loss_voxel"].item() == pytest.approx(expected, rel=1e-5)


def test_voxel_cross_entropy_without_labels_is_zero() -> None:
    logits = torch.randn(1, 18, 1, 2, 2, requires_grad=True)
    targets = OccTargets(torch.full((1, 1, 2, 2), IGNORE, dtype=torch.uint8))
    loss = VoxelCrossEntropy()(OccOutput(OccPrediction(logits)), targets)["loss_voxel"]
    assert loss.item() == 0.0
    loss.backward()


def image_case(prototypes: torch.Tensor | None) -> tuple[OccOutput, OccTargets]:
    """Two cameras of 1 x 2 patches, 4 x 4 pixels each: a car, two trucks, one patch without return."""
    car, truck, free = (OCC3D_NUSCENES.index(name) for name in ("car", "truck", "free"))
    depth, semantics = torch.zeros(1, 2, 4, 8), torch.full((1, 2, 4, 8), IGNORE, dtype=torch.uint8)
    for camera, row, column, metres, label in (
        (0, 0, 1, 9.0, free), (0, 3, 2, 2.0, car), (0, 1, 4, 5.0, truck), (0, 2, 7, 6.0, car),
        (1, 1, 1, 3.0, truck),
    ):  # fmt: skip
        depth[0, camera, row, column], semantics[0, camera, row, column] = metres, label
    classes = torch.tensor([[[car, truck]], [[truck, 0]]])  # camera, row, column; the last patch has no return
    context = functional.one_hot(classes, 18).permute(0, 3, 1, 2)[None].float()
    aux = DepthAux(torch.zeros(1, 2, 4, 1, 2), context.requires_grad_())
    prediction = OccPrediction(torch.zeros(1, 18, 1, 1, 1), prototypes)
    return OccOutput(prediction, aux), OccTargets(depth=depth, image_semantics=semantics)


def test_patch_takes_the_label_of_its_closest_return() -> None:
    """Context features are one-hot in the expected class, so that prototypes 100 I - 50 are perfect masks."""
    output, targets = image_case(100.0 * torch.eye(18) - 50.0)
    losses = ImageSemanticsLoss(num_points=20)(output, targets)
    assert set(losses) == {"loss_image_mask", "loss_image_dice"}
    assert all(value < 1e-5 for value in losses.values())
    output, targets = image_case(-100.0 * torch.eye(18) + 50.0)
    assert ImageSemanticsLoss(num_points=20)(output, targets)["loss_image_mask"].item() == pytest.approx(25.0)


def test_gradient_reaches_context_and_prototypes() -> None:
    prototypes = torch.randn(18, 18, requires_grad=True)
    output, targets = image_case(prototypes)
    sum(ImageSemanticsLoss(num_points=20)(output, targets).values()).backward()
    car_or_truck = [OCC3D_NUSCENES.index("car"), OCC3D_NUSCENES.index("truck")]
    assert prototypes.grad[car_or_truck].abs().sum() > 0
    assert output.aux.context.grad[0, 0].abs().sum() > 0
    assert not output.aux.context.grad[0, 1, :, 0, 1].any()


def test_head_without_prototypes_is_refused() -> None:
    output, targets = image_case(None)
    with pytest.raises(ConfigError, match="prototypes"):
        ImageSemanticsLoss(num_points=20)(output, targets)


def test_reduce_mean_is_the_identity_in_one_process() -> None:
    value = torch.tensor(3.0, requires_grad=True)
    assert reduce_mean(value).item() == 3.0
    assert not reduce_mean(value).requires_grad


def test_reduce_mean_divides_the_sum_of_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    dist = "mmdet3d_plugin.models.losses.reduction.dist"
    monkeypatch.setattr(f"{dist}.is_initialized", lambda: True)
    monkeypatch.setattr(f"{dist}.get_world_size", lambda: 2)
    monkeypatch.setattr(f"{dist}.all_reduce", lambda tensor: tensor.add_(5.0))
    value = torch.tensor(3.0)
    assert reduce_mean(value).item() == 4.0
    assert value.item() == 3.0
