"""Which scenes belong to which split."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import ConfigError, DataError, closest

SPLIT_FILE = "splits.json"

# The official validation scenes of v1.0-trainval (150); the other 700 scenes are the training split.
_VAL_NUMBERS = (
    3, *range(12, 19), 35, 36, 38, 39, *range(92, 111), 221, *range(268, 279), *range(329, 333),
    *range(344, 347), *range(519, 525), *range(552, 566), *range(625, 628), 629, 630, *range(632, 639),
    770, 771, 775, 777, 778, *range(780, 785), *range(794, 801), 802, *range(904, 918), *range(919, 932),
    962, 963, *range(966, 970), 971, 972, *range(1059, 1074),
)  # fmt: skip
TRAINVAL_VAL = tuple(f"scene-{n:04d}" for n in _VAL_NUMBERS)
_NUM_TRAINVAL_SCENES = 850
_MINI = {
    "train": tuple(f"scene-{n:04d}" for n in (61, 553, 655, 757, 796, 1077, 1094, 1100)),
    "val": tuple(f"scene-{n:04d}" for n in (103, 916)),
}


def split_names(root: Path, version: str, scenes: Sequence[str]) -> tuple[str, ...]:
    """Names of the splits that :func:`split_scenes` knows.

    Raises:
        DataError: `splits.json` is broken, or the version has no known split.
    """
    return tuple(_splits(root, version, scenes))


def split_scenes(root: Path, version: str, split: str, scenes: Sequence[str]) -> tuple[str, ...]:
    """Names of the scenes of a split, in the order of `scenes`.

    `<root>/splits.json` ({"train": [scene names], "val": [...]}) wins; without it the official splits of
    v1.0-mini and v1.0-trainval are used, and v1.0-test is one split named "test".

    Args:
        root: folder of the data set.
        version: folder of the tables, for example "v1.0-mini".
        split: name of the split.
        scenes: names of all scenes of the tables.

    Raises:
        ConfigError: the split is unknown.
        DataError: the split names scenes that the tables do not have, or the version has no known split.
    """
    splits = _splits(root, version, scenes)
    if split not in splits:
        raise ConfigError(f"{root} ({version}) has no split {split!r}", expected=closest(split, splits))
    wanted = set(splits[split])
    missing = sorted(wanted - set(scenes))
    if missing or not wanted:
        raise DataError(
            f"split {split!r} of {root} does not fit the tables of {version}",
            found=f"{len(missing)} of its {len(wanted)} scenes are absent, first {missing[0]!r}"
            if missing
            else "no scene",
            expected="every scene of the split in scene.json",
            fix=f"check the version, or list the scenes that you have in {root / SPLIT_FILE}",
        )
    return tuple(name for name in scenes if name in wanted)


def _splits(root: Path, version: str, scenes: Sequence[str]) -> Mapping[str, Sequence[str]]:
    file = root / SPLIT_FILE
    return _read_file(file) if file.is_file() else _official(root, version, scenes)


def _read_file(file: Path) -> dict[str, list[str]]:
    try:
        splits = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise DataError(
            f"{file} cannot be read", found=error, expected='{"train": [scene names], "val": [...]}'
        ) from error
    valid = isinstance(splits, dict) and all(
        isinstance(names, list) and all(isinstance(n, str) for n in names) for names in splits.values()
    )
    if not valid:
        raise DataError(f"{file} is not a table of splits", expected='{"train": [scene names], "val": [...]}')
    return splits


def _official(root: Path, version: str, scenes: Sequence[str]) -> dict[str, Sequence[str]]:
    if version == "v1.0-mini":
        present = set(scenes)
        return {name: [s for s in names if s in present] for name, names in _MINI.items()}
    if version == "v1.0-test":
        return {"test": scenes}
    if version == "v1.0-trainval" and len(scenes) == _NUM_TRAINVAL_SCENES:
        held_out = set(TRAINVAL_VAL)
        return {"train": [s for s in scenes if s not in held_out], "val": TRAINVAL_VAL}
    raise DataError(
        f"no split is known for {version} of {root} with {len(scenes)} scenes",
        expected=f"v1.0-mini, v1.0-test, or the {_NUM_TRAINVAL_SCENES} scenes of v1.0-trainval",
        fix=f'write {root / SPLIT_FILE}: {{"train": [scene names], "val": [scene names]}}',
    )
