"""Classes of lidar returns, predicted from the image features that are lifted (spec/02)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...errors import ConfigError
from ...registry import MODELS
from ...structures import ClassChannels, OccOutput, OccTargets, label_space
from ..layers.depth_bins import labels_of_closest
from .mask import MaskCriterion


@MODELS.register_module()
class ImageSemanticsLoss(nn.Module):
    """Mask losses of the image patches, classified with the prototypes of the head.

    The label of a patch is that of its closest lidar return.

    Args:
        num_points: patches drawn per sample and class.
        labels: name of the label space.
        void_channel: as in the head.
        weight: factor of both losses; published: 5.0 as in `MaskLoss`, times 0.1.
    """

    def __init__(
        self,
        num_points: int = 1056,
        labels: str = "Occ3D-nuScenes",
        void_channel: bool = False,
        weight: float = 0.5,
    ) -> None:
        super().__init__()
        self.channels = ClassChannels(label_space(labels), void_channel)
        self.criterion = MaskCriterion(self.channels, num_points, weight)

    def forward(self, output: OccOutput, targets: OccTargets) -> dict[str, Tensor]:
        """Compare context [B, N, C, h, w] with the lidar labels [B, N, H, W].

        Returns:
            `loss_image_mask` and `loss_image_dice`.

        Raises:
            ConfigError: the head has no prototypes for image features.
        """
        prototypes = output.prediction.prototypes
        if prototypes is None:
            raise ConfigError(
                "ImageSemanticsLoss needs a head with prototypes for image features",
                fix="give PrototypeMaskHead its context_channels, or remove the loss",
            )
        context = output.aux.context
        stride = targets.depth.shape[-1] // context.shape[-1]
        patches = labels_of_closest(targets.depth, targets.image_semantics, stride, self.criterion.ignore)
        logits = torch.einsum("kc,bnchw->bknhw", prototypes, context)
        labels = self.channels.from_labels(patches)
        mask, dice = self.criterion(logits.flatten(2), labels.flatten(1))
        return {"loss_image_mask": mask, "loss_image_dice": dice}
