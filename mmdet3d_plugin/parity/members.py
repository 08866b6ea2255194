"""Which configs have the name of a published checkpoint, and which golden figures speak of them."""

from __future__ import annotations

from pathlib import Path

from ..errors import DataError
from .model import CONFIGS, read_golden

_UNMASKED = "_wo_mask"


def published_stems(golden: Path) -> list[str]:
    """Names of the shipped configs whose published state dict is known, sorted.

    Raises:
        DataError: there are none.
    """
    configs = {path.stem for path in CONFIGS.glob("[!_]*/*.py")}
    stems = sorted(configs & {path.stem for path in (golden / "manifests").glob("*.json")})
    if not stems:
        raise DataError(f"no golden figures in {golden}", expected="manifests/STEM.json for a shipped config STEM")
    return stems


def figures_of(stem: str, golden: Path) -> str | None:
    """The config whose forward passes were measured for this one; None where none were.

    A config without a training mask differs from its twin in the labels that it is trained on, so the same weights give
    the same outputs: the figures of the twin are those of both, if their state dicts agree.
    """
    measured = {path.stem for path in (golden / "forward").glob("*.json")}
    twin = stem.removesuffix(_UNMASKED)
    if stem in measured:
        return stem
    return twin if twin in measured and _same_state(stem, twin, golden) else None


def _same_state(stem: str, other: str, golden: Path) -> bool:
    one, two = (read_golden(golden / "manifests" / f"{name}.json") for name in (stem, other))
    return one["state_dict"] == two["state_dict"] and one["aliases"] == two["aliases"]
