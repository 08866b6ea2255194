"""Under which conditions a number was measured. Two numbers compare only where their protocols are equal."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..errors import EvaluationError
from ..structures import LabelSpace, VoxelGrid
from ..version import __version__
from .scores import Mode
from .state import EvaluationState

DESCRIBING = ("profile", "training_mask", "package_version")
"""Fields that say how a model came about, not what a number means: results that differ in them compare."""
SYNTHETIC_WARNING = "SYNTHETIC DATA: not comparable with any number measured on a real data set"


@dataclass(frozen=True)
class Protocol:
    """Everything that a reader must know beside a number.

    Attributes:
        dataset: name and split, for example "nuScenes v1.0-trainval val".
        synthetic: True for generated worlds.
        label_set: name of the label space.
        classes: class names in the order of their ids, the free class included.
        ignored_ids: labels that are not scored.
        evaluated_masks: voxel masks that were scored, "camera" or "all".
        training_mask: voxels that the model was trained on: "camera", "lidar", "all", or "none" without
            training.
        grid_lower, grid_upper: corners of the grid, metres.
        grid_shape: voxels along x, y, z.
        frames: number of scored samples.
        token_hash: `token_set_hash` of the scored samples.
        mode: "published" or "corrected".
        profile: name of the config profile of the model.
        package_version: version of this package.
    """

    dataset: str
    synthetic: bool
    label_set: str
    classes: tuple[str, ...]
    ignored_ids: tuple[int, ...]
    evaluated_masks: tuple[str, ...]
    training_mask: str
    grid_lower: tuple[float, float, float]
    grid_upper: tuple[float, float, float]
    grid_shape: tuple[int, int, int]
    frames: int
    token_hash: str
    mode: Mode
    profile: str
    package_version: str = __version__

    @classmethod
    def from_state(
        cls,
        state: EvaluationState,
        grid: VoxelGrid,
        *,
        dataset: str,
        synthetic: bool,
        training_mask: str,
        profile: str,
    ) -> Protocol:
        """Protocol of a finished evaluation; what the counts know is taken from them."""
        space: LabelSpace = state.space
        return cls(
            dataset=dataset,
            synthetic=synthetic,
            label_set=space.name,
            classes=space.classes,
            ignored_ids=(space.ignore,),
            evaluated_masks=state.evaluated_masks(),
            training_mask=training_mask,
            grid_lower=grid.lower,
            grid_upper=grid.upper,
            grid_shape=grid.shape,
            frames=len(state.tokens),
            token_hash=token_set_hash(state.tokens),
            mode=state.mode,
            profile=profile,
        )

    @classmethod
    def from_dict(cls, values: dict) -> Protocol:
        """Read back what `to_dict` wrote.

        Raises:
            EvaluationError: a field is missing or unknown.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if set(values) != names:
            raise EvaluationError(
                "protocol of a result file",
                found=sorted(set(values) ^ names),
                expected="exactly the known fields",
            )
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**fields)

    def to_dict(self) -> dict:
        """Plain values for JSON."""
        return dataclasses.asdict(self)

    def differences(self, other: Protocol) -> dict[str, tuple[object, object]]:
        """Fields in which two protocols differ, with both values; empty where numbers may be compared.

        The fields named in `DESCRIBING` do not count.
        """
        pairs = {f.name: (getattr(self, f.name), getattr(other, f.name)) for f in dataclasses.fields(self)}
        return {name: pair for name, pair in pairs.items() if name not in DESCRIBING and pair[0] != pair[1]}

    def title(self, *, with_profile: bool = True) -> str:
        """One line for the head of a table; synthetic data cannot be overlooked in it."""
        line = f"{self.dataset} | {self.label_set} | {self.frames} frames | {self.mode}"
        if with_profile:
            line += f" | profile {self.profile}"
        return f"{SYNTHETIC_WARNING} | {line}" if self.synthetic else line


def token_set_hash(tokens: Iterable[str]) -> str:
    """SHA-256 of the sorted sample tokens, one a line: equal for equal sets in whatever order."""
    return hashlib.sha256("\n".join(sorted(tokens)).encode()).hexdigest()
