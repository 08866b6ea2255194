"""What a data set checks at the door, before the first epoch and not in the middle of it."""

from __future__ import annotations

from pathlib import Path

from ..errors import DataError, closest
from .labels.base import KeyFrameName, LabelSet

PROJECT = Path(__file__).resolve().parents[2]


def find_root(root: str | Path, version: str) -> Path:
    """Absolute folder of a data set; a relative one is tried from the working directory, then the project.

    Raises:
        DataError: the folder, or the folder of the tables in it, does not exist.
    """
    found = find_folder(root, expected=f"a folder with {version}/, samples/ and the labels")
    if not (found / version).is_dir():
        versions = [p.name for p in found.iterdir() if (p / "sample.json").is_file()]
        raise DataError(
            f"{found} has no version {version!r}",
            found=f"versions {', '.join(sorted(versions))}" if versions else "no tables at all",
            expected=closest(version, versions) if versions else f"{version}/sample.json and the other tables",
            fix="set `version` of the data set, or unpack the metadata archive",
        )
    return found


def find_folder(root: str | Path, expected: str) -> Path:
    """Absolute path of a folder; a relative one is tried from the working directory, then the project.

    Raises:
        DataError: it does not exist; the message says what is expected there.
    """
    candidates = [Path.cwd() / Path(root).expanduser(), PROJECT / Path(root).expanduser()]
    found = next((path for path in candidates if path.is_dir()), None)
    if found is None:
        raise DataError(
            f"data set folder {root} does not exist",
            found=" and ".join(dict.fromkeys(f"no {path}" for path in candidates)),
            expected=expected,
            fix="set `root`, or make a synthetic world: python tools/create_data.py synthetic",
        )
    return found.resolve()


def require_label_files(labels: LabelSet, root: Path, names: list[KeyFrameName]) -> None:
    """Every label file of the split must be there.

    Raises:
        DataError: says how many are missing and names the first.
    """
    folder = root / labels.folder
    if not folder.is_dir():
        raise DataError(
            f"label folder {folder} does not exist",
            expected=f"the {labels.space.name} labels",
            fix=f"unpack them there, or set `folder` of {type(labels).__name__}",
        )
    missing = [path for name in names for path in labels.paths(root, name) if not path.is_file()]
    if missing:
        raise DataError(
            f"{labels.space.name} labels are incomplete",
            found=f"{len(missing)} files missing, first {missing[0]}",
            expected=f"labels for all {len(names)} key frames of the split",
            fix=f"unpack the labels again, or list complete scenes in {root / 'splits.json'}",
        )
