"""From a batch to checked samples: nothing is counted before a whole batch is known to be valid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import EvaluationError
from ..structures import LabelSpace, OccTargets, VoxelGrid


@dataclass
class Sample:
    """One sample, all volumes on one device.

    Attributes:
        prediction, truth: [Z, Y, X] uint8 label ids.
        mask: [Z, Y, X] bool camera mask, None where the data set has none.
        origins: [K, 3] float64 ray origins, metres; None where no rays are cast.
        flow: predicted and true velocity, [2, Z, Y, X] in m/s each; None where flow is not scored.
    """

    prediction: Tensor
    truth: Tensor
    mask: Tensor | None
    origins: Tensor | None
    flow: tuple[Tensor, Tensor] | None


@dataclass(frozen=True)
class SampleChecker:
    """What an evaluation needs of every sample.

    Attributes:
        space: label space of the predictions.
        grid: grid of all volumes.
        rays: ray origins are needed.
        flow: predicted and true flow are needed.
        finite_flow: NaN flow is an error.
    """

    space: LabelSpace
    grid: VoxelGrid
    rays: bool
    flow: bool
    finite_flow: bool

    def split(self, occupancy: Tensor, targets: OccTargets, tokens: Sequence[str], flow: Tensor | None) -> list[Sample]:
        """Check a batch and take it apart.

        Args:
            occupancy: [B, Z, Y, X] uint8 predicted label ids.
            targets: what they are scored against.
            tokens: B sample tokens.
            flow: [B, 2, Z, Y, X] predicted velocity, m/s.

        Raises:
            EvaluationError: naming the sample, what was found and what was expected.
        """
        names = ", ".join(tokens)
        truth, mask = targets.occupancy, targets.mask_camera
        if truth is None:
            raise EvaluationError(f"no ground truth for sample {names}")
        shape = (len(tokens), *self.grid.zyx)
        self._check_volume(f"prediction of sample {names}", occupancy, shape, (torch.uint8,))
        self._check_volume(f"ground truth of sample {names}", truth, shape, (torch.uint8,))
        if mask is not None:
            self._check_volume(f"camera mask of sample {names}", mask, shape, (torch.bool,))
        for token, volume in zip(tokens, occupancy):
            if int(volume.max()) >= self.space.num_classes:
                raise EvaluationError(
                    f"prediction of sample {token} holds a label that {self.space.name} does not have",
                    found=int(volume.max()),
                    expected=f"0 to {self.space.num_classes - 1}",
                )
        origins = self._origins(targets, tokens)
        flows = self._flows(targets, tokens, flow)
        device = occupancy.device
        return [
            Sample(
                occupancy[i],
                truth[i].to(device),
                None if mask is None else mask[i].to(device),
                None if origins is None else origins[i],
                None if flows is None else (flows[0][i].to(device), flows[1][i].to(device)),
            )
            for i in range(len(tokens))
        ]

    def _origins(self, targets: OccTargets, tokens: Sequence[str]) -> tuple[Tensor, ...] | None:
        if not self.rays:
            return None
        origins = targets.ray_origins
        if origins is None or len(origins) != len(tokens):
            raise EvaluationError(
                f"rays need the origins of sample {', '.join(tokens)}",
                found="none" if origins is None else f"origins of {len(origins)} samples",
                expected=f"origins of {len(tokens)} samples",
                fix="load them with the targets (`lidar_origins`)",
            )
        for token, points in zip(tokens, origins):
            if points.dim() != 2 or points.shape[1] != 3 or not bool(torch.isfinite(points).all()):
                raise EvaluationError(
                    f"ray origins of sample {token}",
                    found=tuple(points.shape),
                    expected="finite [K, 3], metres",
                )
        return origins

    def _flows(self, targets: OccTargets, tokens: Sequence[str], flow: Tensor | None) -> tuple[Tensor, Tensor] | None:
        if not self.flow:
            return None
        names, shape = ", ".join(tokens), (len(tokens), 2, *self.grid.zyx)
        if flow is None or targets.flow is None:
            missing = "predicted" if flow is None else "true"
            raise EvaluationError(f"flow metrics need the {missing} flow of sample {names}")
        floats = (torch.float16, torch.float32)
        self._check_volume(f"predicted flow of sample {names}", flow, shape, floats)
        self._check_volume(f"true flow of sample {names}", targets.flow, shape, floats)
        if self.finite_flow:
            for what, values in (("predicted", flow), ("true", targets.flow)):
                for token, volume in zip(tokens, values):
                    if bool(torch.isnan(volume).any()):
                        raise EvaluationError(f"{what} flow of sample {token} holds NaN")
        return flow, targets.flow

    @staticmethod
    def _check_volume(what: str, volume: Tensor, shape: tuple[int, ...], dtypes: tuple[torch.dtype, ...]) -> None:
        if tuple(volume.shape) != shape or volume.dtype not in dtypes:
            raise EvaluationError(
                what,
                found=f"{volume.dtype} {tuple(volume.shape)}",
                expected=f"{' or '.join(map(str, dtypes))} {shape}",
            )
