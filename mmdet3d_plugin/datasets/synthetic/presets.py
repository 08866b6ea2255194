"""Sizes of the worlds that can be made, and the official scene names they borrow."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import ConfigError, closest

KEYFRAME_INTERVAL = 0.5
"""Seconds between key frames (2 Hz, as in nuScenes)."""

_MINI_TRAIN = ("0061", "0553", "0655", "0757", "0796", "1077", "1094", "1100")
_MINI_VAL = ("0103", "0916")
_TRAINVAL_TRAIN = (
    "0001", "0002", "0004", "0005", "0006", "0007", "0008", "0009",
    "0010", "0011", "0019", "0020", "0021", "0022", "0023", "0024",
)  # fmt: skip
_TRAINVAL_VAL = ("0003", "0012", "0013", "0014")


@dataclass(frozen=True)
class Preset:
    """How much world is made.

    Attributes:
        name: as on the command line.
        train_scenes, val_scenes: number of scenes of each split.
        keyframes: key frames of every scene, at 2 Hz.
        image_scale: size of the images as a share of 1600 x 900 pixels.
        every_class: every Occ3D class must occur in the training split; checked when the world is finished.
    """

    name: str
    train_scenes: int
    val_scenes: int
    keyframes: int
    image_scale: float
    every_class: bool = True

    @property
    def version(self) -> str:
        """Name of the table folder: worlds that fit into the mini split use its official names."""
        fits = self.train_scenes <= len(_MINI_TRAIN) and self.val_scenes <= len(_MINI_VAL)
        return "v1.0-mini" if fits else "v1.0-trainval"

    @property
    def splits(self) -> dict[str, list[str]]:
        """Scene names of the two splits, official nuScenes names in official order."""
        mini = self.version == "v1.0-mini"
        train, val = (_MINI_TRAIN, _MINI_VAL) if mini else (_TRAINVAL_TRAIN, _TRAINVAL_VAL)
        return {
            "train": [f"scene-{n}" for n in train[: self.train_scenes]],
            "val": [f"scene-{n}" for n in val[: self.val_scenes]],
        }

    @property
    def duration(self) -> float:
        """Seconds from the first to the last key frame of a scene."""
        return (self.keyframes - 1) * KEYFRAME_INTERVAL


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("tiny", 2, 1, 4, 0.22, every_class=False),
        Preset("sequence", 1, 1, 3, 0.44, every_class=False),
        Preset("small", 4, 2, 8, 0.44),
        Preset("learn", 16, 4, 20, 0.44),
    )
}


def get_preset(name: str) -> Preset:
    """Look a preset up by its name."""
    if name not in PRESETS:
        raise ConfigError(f"no synthetic preset {name!r}", expected=closest(name, PRESETS))
    return PRESETS[name]
