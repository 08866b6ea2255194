"""Comparing losses and gradients of training with the golden figures of the published models."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..config import load_config
from ..errors import DataError, EvaluationError
from ..models.checkpoints.tables import TABLES
from ..models.losses import MaskCriterion
from ..models.view_transformers.geometry_fusion import GeometryFusion
from ..structures import OccBatch
from .forward import Comparison
from .model import build_parity_model, find_config, read_golden
from .recipe import Inputs, published_state_dict
from .targets import ReplayedSampler, targets

LOSS = 1e-3


@dataclass(frozen=True)
class GradientGates:
    """Largest relative errors that pass: of the norm over all parameters, and of the median and the worst parameter."""

    total: float
    median: float
    worst: float


# Changing the images by 1e-7 of their value, the rounding of float32 (`--noise`), changes the gradients of single
# parameters by up to 8e-3, and their total by 1e-3 where images are matched (ALOcc-2D), because rectifiers and the
# choice of points are steps: nothing can come closer.
GATES = GradientGates(total=3e-3, median=1e-3, worst=2e-2)
# With a memory of geometry (ALOcc-2D-GF) the same changes reach 1.6e-2, 1.2e-2 and, in the gate of that memory, 0.29.
MEMORY_GATES = GradientGates(total=2e-2, median=1.5e-2, worst=0.5)
NEGLIGIBLE = 1e-5  # of the total norm; biases before a normalisation have no gradient but rounding
_OUR_NAME = {
    "img_seg_loss_mask": "loss_image_mask",
    "img_seg_loss_dice": "loss_image_dice",
    "loss_voxel_ce_c_0": "loss_voxel",
    "bin_ce_loss": "loss_flow_bins",
}
# A mean of cosines vanishes by chance: its error is relative to what such a mean usually is.
_SCALE = {"loss_flow_cosine": 0.05}


def compare_losses(stem: str, golden: Path, device: str = "cpu", noise: int | None = None) -> Iterator[Comparison]:
    """Train on the frames of the golden loss files of a config, and compare the losses and gradient norms.

    The errors of the comparisons are relative. All files whose entry "config" is the stem are compared: the
    variants differ in what their entry "overrides" lists. It runs on as many CPU threads as the golden run
    did, if its forward passes tell, because another number rounds sums differently and changes the total
    gradient norm by up to 1e-3.

    Args:
        stem: name of the published config.
        golden: directory of the golden figures.
        device: where to run.
        noise: of the images, see :class:`Inputs`.

    Raises:
        DataError: there is no golden loss file, or it overrides something that is not known here.
        EvaluationError: our model has other losses or parameters than the published one.
    """
    read_golden(golden / "losses" / f"{stem}.json")
    threads = torch.get_num_threads()
    forward = golden / "forward" / f"{stem}.json"  # of the same run
    if forward.is_file():
        torch.set_num_threads(read_golden(forward).get("threads", threads))
    try:
        yield from _compare_files(stem, golden, device, noise)
    finally:
        torch.set_num_threads(threads)


def _compare_files(stem: str, golden: Path, device: str, noise: int | None) -> Iterator[Comparison]:
    for path in sorted((golden / "losses").glob(f"{stem}*.json")):
        facts = read_golden(path)
        if facts["config"] == stem:
            variant = path.stem.removeprefix(stem).lstrip("_")
            inputs = Inputs.of_config(load_config(find_config(stem)), facts["seed"], noise)
            yield from _compare_file(stem, f" ({variant})" if variant else "", facts, golden, device, inputs)


def _compare_file(
    stem: str, variant: str, facts: dict[str, Any], golden: Path, device: str, inputs: Inputs
) -> Iterator[Comparison]:
    seed = facts["seed"]
    model = _training_model(stem, facts, golden).to(device)
    last = len(facts["frames"]) - 1
    for number, entry in enumerate(facts["frames"]):
        t = entry["t"]
        with_flow = "loss_flow" in entry["losses"]
        batch = OccBatch((inputs.frame(t),), targets(t, inputs, facts["gt"], with_flow))
        with torch.set_grad_enabled(number == last):
            losses = model(batch.to(device), mode="loss")
        ours = {name: value.item() for name, value in losses.items()}
        golden_losses = {_OUR_NAME.get(name, name): value for name, value in entry["losses"].items()}
        if ours.keys() != golden_losses.keys():
            raise EvaluationError(
                f"{stem} has other losses than the published model",
                found=sorted(ours),
                expected=sorted(golden_losses),
            )
        for name, value in golden_losses.items():
            error = abs(ours[name] - value) / _SCALE.get(name, abs(value))
            yield Comparison(t, name + variant, error, error, LOSS)
    sum(losses.values()).backward()
    norms = _published_norms(stem, model.network, golden, seed)
    remembers = any(isinstance(module, GeometryFusion) for module in model.modules())
    yield from _compare_gradients(facts["frames"][last], norms, variant, MEMORY_GATES if remembers else GATES)


def _training_model(stem: str, facts: Mapping[str, Any], golden: Path) -> nn.Module:
    """The model in training mode with the random draws and settings of a golden loss file, no dropout."""
    model = build_parity_model(stem, golden, facts["seed"])
    model.preprocessor = nn.Identity()  # golden images are normalised already
    sampler = ReplayedSampler(facts["seed"], facts["gt"]["size"])
    for module in model.modules():
        if isinstance(module, MaskCriterion):
            module.sampler = sampler
        elif isinstance(module, nn.Dropout):
            module.p = 0.0
    # Training starts with the ground truth alone where the config schedules denoising (golden/README, quirk 12).
    hooks = load_config(find_config(stem)).hooks
    model.schedule.denoise_rate = 0.0 if hooks.get("denoising") is None else 1.0
    model.schedule.flow_denoise_rate = 0.0 if hooks.get("flow_denoising") is None else 1.0
    for override in facts["overrides"]:
        name, _, value = override.partition("=")
        if name == "do_history":
            model.schedule.use_history = value == "True"
        elif name == "depth_net.geometry_denoise_rate":
            model.schedule.denoise_rate = float(value)
        else:
            raise DataError(f"the golden losses of {stem} override {name!r}, which is not known here")
    return model.train()


def _published_norms(stem: str, network: nn.Module, golden: Path, seed: int) -> dict[str, float]:
    """L2 norm of the gradient of every parameter, by its published name."""
    state = published_state_dict(read_golden(golden / "manifests" / f"{stem}.json"), seed)
    table = next(table for table in TABLES if table.recognises(state))
    parameters: dict[str, Tensor] = dict(network.named_parameters())
    norms = {}
    for name, key in table.match(state).origin.items():
        if name in parameters:
            gradient = parameters[name].grad
            norms[key] = 0.0 if gradient is None else gradient.double().norm().item()
    return norms


def _compare_gradients(
    entry: Mapping[str, Any], norms: Mapping[str, float], variant: str, gates: GradientGates = GATES
) -> Iterator[Comparison]:
    """The total gradient norm, and the median and the worst of the norms of single parameters."""
    expected = {key: norm for key, norm in entry["grad_norm"].items() if norm is not None}
    if missing := expected.keys() - norms.keys():
        raise EvaluationError("parameters of the published model have no gradient here", found=sorted(missing))
    t, total = entry["t"], entry["grad_total_norm"]
    error = abs(sum(norm**2 for norm in norms.values()) ** 0.5 - total) / total
    yield Comparison(t, "total gradient norm" + variant, error, error, gates.total)
    errors = {key: abs(norms[key] - norm) / norm for key, norm in expected.items() if norm > NEGLIGIBLE * total}
    median, mean = statistics.median(errors.values()), statistics.fmean(errors.values())
    yield Comparison(t, f"median of {len(errors)} gradient norms{variant}", median, mean, gates.median)
    worst = max(errors, key=lambda key: errors[key])
    yield Comparison(t, f"worst: {worst}{variant}", errors[worst], mean, gates.worst)
