"""`occstudio doctor data`: what of a data set is there, whether it is as its formats say, and whether it agrees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...datasets.checks import find_folder
from ...datasets.index import load_index
from ...datasets.labels import LABEL_SETS, label_set
from ...errors import ConfigError, OccStudioError, closest
from . import inventory, samples
from .compare import compare
from .findings import Finding, collect
from .inventory import Tree, spread
from .picture import draw, tree_views
from .waymo import NAME as WAYMO
from .waymo import examine_waymo, is_waymo

__all__ = ["Finding", "examine_data"]

FRAMES_COMPARED = 12
"""Key frames, spread over the scenes, whose labels are compared with sweeps and boxes."""


def examine_data(
    root: str | Path, labels: Sequence[str] | None = None, version: str | None = None, out: str | Path | None = None
) -> list[Finding]:
    """Look at a data set from the inventory to the meaning of its labels. Never stops at a problem.

    Args:
        root: folder in the nuScenes format, or of Occ3D-Waymo.
        labels: annotations that are needed, see `LABEL_SETS`; their absence is a problem, and no other is looked at.
            None looks at all, and their absence is a note.
        version: folder of tables in the nuScenes format; None looks at every one.
        out: folder for the picture; None draws none.

    Returns:
        findings in the order of the examination; the data set is usable if none has the status "PROBLEM".

    Raises:
        ConfigError: there is no such annotation, or no one data set can have what is asked for.
    """
    for name in labels or ():
        if name not in LABEL_SETS:
            raise ConfigError(f"no annotation {name!r}", expected=closest(name, LABEL_SETS))
    if WAYMO in (labels or ()) and (version is not None or set(labels or ()) != {WAYMO}):
        raise ConfigError(f"{WAYMO} has a folder of its own, without versions", fix="ask for it alone")
    try:
        folder = find_folder(root, expected=inventory.NUSCENES_TREE)
    except OccStudioError as error:
        return [Finding("root", str(error), "PROBLEM")]
    versions = inventory.find_versions(folder)
    if WAYMO in (labels or ()) or (labels is None and version is None and not versions and is_waymo(folder)):
        return _once(examine_waymo(folder, FRAMES_COMPARED, None if out is None else Path(out)))
    findings = collect("root", inventory.examine_root, folder, versions, version)
    for chosen in versions if version is None else [v for v in versions if v == version]:
        findings += _examine_version(folder, chosen, labels, None if out is None else Path(out))
    return _once(findings + collect("sweeps", inventory.examine_between, folder))


def _examine_version(root: Path, version: str, labels: Sequence[str] | None, out: Path | None) -> list[Finding]:
    findings = collect("tables", inventory.examine_tables, root / version)
    try:
        tree = Tree(root, version, load_index(root, version))
    except OccStudioError as error:
        return [*findings, Finding("tables", str(error), "PROBLEM")]
    splits = inventory.split_rows(tree, findings)
    rows = np.unique(np.concatenate([*splits.values(), np.empty(0, dtype=np.int64)]))
    for split, of_split in splits.items():
        findings += collect("split", inventory.examine_frames, tree, split, of_split)
    findings += collect("lidarseg", inventory.examine_point_classes, tree)
    for row in rows[:1].tolist():
        findings += collect("images", samples.sample_image, tree, row)
        findings += collect("sweeps", samples.sample_sweep, tree, row)
        if tree.has_point_classes:
            findings += collect("lidarseg", samples.sample_point_classes, tree, row)
    if not tree.has_labels:
        return [*findings, Finding("labels", f"{version} has no public annotation", "note")]
    for name in labels or inventory.NUSCENES_LABELS:
        for split, of_split in splits.items():
            findings += collect(name, inventory.examine_labels, tree, name, split, of_split, labels is not None)
        findings += _examine_content(tree, name, rows)
    return findings if out is None else findings + _draw(tree, labels, rows, out)


def _examine_content(tree: Tree, name: str, rows: np.ndarray) -> list[Finding]:
    """What the label files say, as far as there are some."""
    labels = label_set(name)
    chosen = spread(tree, labels, rows, FRAMES_COMPARED)
    findings: list[Finding] = []
    for row in chosen[:1].tolist():
        findings += collect(name, samples.sample_labels, name, labels, tree.root, tree.index.name(row))
    masks = inventory.ray_masks()
    for row in spread(tree, masks, chosen, 1).tolist() if name == "openocc" else []:
        findings += collect("ray mask", samples.sample_labels, "ray mask", masks, tree.root, tree.index.name(row))
    return findings + collect(name, compare, tree, name, labels, chosen) if len(chosen) else findings


def _draw(tree: Tree, names: Sequence[str] | None, rows: np.ndarray, out: Path) -> list[Finding]:
    """A picture of every annotation that was asked for, else of the first that is there."""
    found = {name: spread(tree, label_set(name), rows, 3) for name in names or inventory.NUSCENES_LABELS}
    there = {name: chosen for name, chosen in found.items() if len(chosen)}
    if not there:
        return [Finding("picture", "not drawn: no labels", "note")]
    findings: list[Finding] = []
    for name in there if names else list(there)[:1]:
        row, labels = int(there[name][len(there[name]) // 2]), label_set(name)
        views, path = tree_views(tree, labels, row), out / f"{tree.version}_{name}.png"
        findings += collect("picture", draw, tree.root, labels, tree.index.name(row), views, path)
    return findings


def _once(findings: list[Finding]) -> list[Finding]:
    """Findings without problems that were met before: a broken file is read by several checks."""
    seen: set[str] = set()
    kept = []
    for finding in findings:
        if finding.status != "PROBLEM" or finding.text not in seen:
            kept.append(finding)
        seen.add(finding.text)
    return kept
