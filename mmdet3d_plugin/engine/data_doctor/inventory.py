"""What of a data set is there, counted by split (spec/data/formats sections 0 and 2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...datasets.index import CAMERAS, KeyFrameIndex
from ...datasets.labels import LABEL_SETS, LabelSet, OpenOccLabels, label_set
from ...datasets.splits import split_names, split_scenes
from ...datasets.tables import field, read_table
from ...errors import OccStudioError, closest
from .findings import Finding, missing_files, problem
from .releases import LABELS, LIDARSEG, NUSCENES, NUSCENES_TREE, RAY_MASK

NUSCENES_LABELS = tuple(name for name in LABEL_SETS if name != "occ3d-waymo")
_TABLES = {
    "scene": "key frames", "sample": "key frames", "sample_data": "key frames", "ego_pose": "key frames",
    "calibrated_sensor": "key frames", "sensor": "key frames", "sample_annotation": "boxes", "category": "lidarseg",
    "lidarseg": "lidarseg",
}  # fmt: skip
_PICKLES = ("*infos_train*.pkl", "*infos_val*.pkl", "train.pkl", "val.pkl")
_KNOWN_FOLDERS = {"samples", "sweeps", "maps", "lidarseg", "openocc_v2_ray_mask"}
_WITHOUT_LABELS = "v1.0-test"
_CANDIDATES = 4


@dataclass(frozen=True)
class Tree:
    """One version of a data set in the nuScenes format.

    Attributes:
        root: absolute folder of the data set.
        version: folder of its tables.
        index: all its key frames.
    """

    root: Path
    version: str
    index: KeyFrameIndex

    @property
    def has_labels(self) -> bool:
        """False for the version whose annotation is kept back."""
        return self.version != _WITHOUT_LABELS

    @property
    def has_point_classes(self) -> bool:
        """Whether the tables of lidarseg are there."""
        return (self.root / self.version / "lidarseg.json").is_file()


def find_versions(root: Path) -> list[str]:
    """Folders with tables, or that should hold some by their name."""
    folders = [p for p in root.iterdir() if p.is_dir()]
    return sorted(p.name for p in folders if p.name.startswith("v1.") or (p / "sample.json").is_file())


def examine_root(root: Path, versions: Sequence[str], version: str | None) -> Iterator[Finding]:
    """The root: versions, folders of other names, info pickles.

    Args:
        root: folder of the data set.
        versions: what :func:`find_versions` found.
        version: the one that was asked for, if any.
    """
    if not versions:
        yield problem("root", f"{root} has no tables\n  expected: {NUSCENES_TREE}", f"get {NUSCENES}")
    elif version is not None and version not in versions:
        yield problem("root", f"{root} has no version {version!r}: {closest(version, versions)}", "correct --version")
    else:
        yield Finding("root", f"{root}: {', '.join(versions)}")
    known = {label_set(name).folder.split("/")[0] for name in NUSCENES_LABELS} | _KNOWN_FOLDERS | set(versions)
    others = sorted(p.name for p in root.iterdir() if p.is_dir() and p.name not in known and p.name[0] != ".")
    if others:
        yield Finding("root", f"folders that no reader knows by their names: {', '.join(others)}", "note")
    found = sorted({p.name for pattern in _PICKLES for p in root.glob(pattern)})
    yield Finding("root", f"info pickles: {', '.join(found) or 'none'} (the tables hold the same)")


def examine_tables(folder: Path) -> Iterator[Finding]:
    """Which tables of a version are there, and what the absent ones are for."""
    present = sorted(path.stem for path in folder.glob("*.json"))
    yield Finding("tables", f"{folder.name}: {', '.join(present) or 'none'}")
    for table, purpose in _TABLES.items():
        if table not in present and purpose == "key frames":
            yield problem("tables", f"{folder / table}.json is missing", f"get {NUSCENES}")
        elif table not in present:
            yield Finding("tables", f"no {table}.json, which {purpose} need", "note")


def split_rows(tree: Tree, findings: list[Finding]) -> dict[str, np.ndarray]:
    """Positions of the key frames of every split; problems of the splits are appended to `findings`."""
    names = tree.index.scene_names.tolist()
    rows: dict[str, np.ndarray] = {}
    try:
        splits = split_names(tree.root, tree.version, names)
    except OccStudioError as error:
        findings.append(Finding("split", str(error), "PROBLEM"))
        return {"all scenes": np.arange(len(tree.index))}
    for split in splits:
        try:
            scenes = split_scenes(tree.root, tree.version, split, names)
        except OccStudioError as error:
            findings.append(Finding("split", str(error), "PROBLEM"))
            continue
        rows[split] = np.flatnonzero(np.isin(tree.index.scene_names[tree.index.scene], scenes))
    return rows


def examine_frames(tree: Tree, split: str, rows: np.ndarray) -> Iterator[Finding]:
    """Key frames, images and sweeps of a split."""
    index, where = tree.index, f"{tree.version} {split}"
    scenes = len(np.unique(index.scene[rows]))
    yield Finding("split", f"{where}: {scenes} scenes, {len(rows)} key frames, {len(rows) * len(CAMERAS)} images")
    images = [tree.root / str(file) for file in index.image_file[rows].reshape(-1)]
    sweeps = [tree.root / str(file) for file in index.lidar_file[rows]]
    yield count_files("images", where, images, f"get the image archives of {NUSCENES}")
    yield count_files("sweeps", where, sweeps, f"get the lidar archives of {NUSCENES}")


def examine_between(root: Path) -> Iterator[Finding]:
    """Files between the key frames, which only methods with dense history read."""
    folders = [p for p in sorted((root / "sweeps").glob("*")) if p.is_dir()]
    counts = [f"{p.name} {sum(1 for _ in p.iterdir())}" for p in folders]
    yield Finding("sweeps", f"between key frames: {', '.join(counts)}" if counts else "none between key frames")


def examine_point_classes(tree: Tree) -> Iterator[Finding]:
    """Classes of lidar points of all key frames."""
    if not tree.has_point_classes:
        yield Finding("lidarseg", f"{tree.version}: not there; for image semantics get {LIDARSEG}", "note")
        return
    records = read_table(tree.root / tree.version, "lidarseg")
    files = [tree.root / field(record, "filename", "lidarseg") for record in records]
    yield count_files("lidarseg", tree.version, files, f"get {LIDARSEG}")


def examine_labels(tree: Tree, name: str, split: str, rows: np.ndarray, demanded: bool) -> Iterator[Finding]:
    """Label files of a split.

    Args:
        tree: the data set.
        name: annotation, see `LABEL_SETS`.
        split: name of the split.
        rows: its key frames.
        demanded: an absent annotation is a problem, and not a note.
    """
    yield from _label_files(tree, label_set(name), name, (split, rows), LABELS[name], demanded)
    if name == "openocc" and (tree.root / label_set(name).folder).is_dir():
        masks = ray_masks()
        yield from _label_files(tree, masks, "ray mask", (split, rows), f"{RAY_MASK}, to train with mask='rays'", False)


def ray_masks() -> OpenOccLabels:
    """Reader whose files are the ray masks of OpenOcc."""
    return OpenOccLabels(OpenOccLabels.native_grid, folder="openocc_v2_ray_mask", mask="none")


def _label_files(
    tree: Tree, labels: LabelSet, topic: str, of_split: tuple[str, np.ndarray], release: str, demanded: bool
) -> Iterator[Finding]:
    split, rows = of_split
    folder = tree.root / labels.folder
    if folder.is_dir():
        paths = [path for row in rows for path in labels.paths(tree.root, tree.index.name(int(row)))]
        yield count_files(topic, f"{tree.version} {split}", paths, f"unpack again {release}")
    elif demanded:
        expected = labels.paths(tree.root, tree.index.name(int(rows[0])))[0]
        yield problem(topic, f"label folder {folder} does not exist\n  expected: {expected}, ...", f"get {release}")
    else:
        yield Finding(topic, f"not there ({labels.folder}/); get {release}", "note")


def count_files(topic: str, where: str, paths: Sequence[Path], fix: str) -> Finding:
    """How many files of a kind are there; the first that is missing is named."""
    missing = missing_files(paths)
    if missing:
        return problem(topic, f"{where}: {len(missing)} of {len(paths)} files are missing, first {missing[0]}", fix)
    return Finding(topic, f"{where}: all {len(paths)} files are there")


def spread(tree: Tree, labels: LabelSet, rows: np.ndarray, count: int) -> np.ndarray:
    """Up to `count` of some key frames whose label files exist, evenly over the scenes and their time.

    Looks for the files of a few key frames before it looks for those of all.
    """
    present = _with_files(tree, labels, _evenly(rows, _CANDIDATES * count))
    if len(present) < count:
        present = _with_files(tree, labels, rows)
    return _evenly(present, count)


def _with_files(tree: Tree, labels: LabelSet, rows: np.ndarray) -> np.ndarray:
    paths = {int(row): labels.paths(tree.root, tree.index.name(int(row))) for row in rows}
    absent = set(missing_files([path for of_row in paths.values() for path in of_row]))
    return np.array([row for row, of_row in paths.items() if absent.isdisjoint(of_row)], dtype=np.int64)


def _evenly(rows: np.ndarray, count: int) -> np.ndarray:
    return rows[np.unique(np.linspace(0, len(rows) - 1, count).round().astype(int))] if len(rows) else rows
