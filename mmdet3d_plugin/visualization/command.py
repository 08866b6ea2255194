"""The command `python tools/visual.py PREDICTIONS GROUND_TRUTH`."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from ..datasets.labels import LABEL_SETS, open_labels
from ..evaluation.report import read_result
from ..structures import VolumeFrame
from .curves import read_loss_curve
from .report import write_report
from .sources import is_synthetic, read_scenes
from .stills import write_stills
from .views import ReportData, ResultTable

log = logging.getLogger(__name__)


def run(arguments: Sequence[str]) -> None:
    """Write the viewer, and stills where asked, for saved predictions.

    Raises:
        DataError: predictions, labels or images are missing or unreadable.
        EvaluationError: a prediction is not on the grid of the labels.
    """
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    root, labels = open_labels(options.ground_truth, options.labels)
    results = [(path.stem, read_result(path)) for path in options.results]
    synthetic = is_synthetic(options.ground_truth, options.images) or any(r.protocol.synthetic for _, r in results)
    frame: VolumeFrame = "lidar" if labels.frame == "lidar" else "ego_lidar_time"
    data = ReportData(
        title=options.title or options.predictions.resolve().name,
        space=labels.space,
        grid=labels.grid,
        scenes=read_scenes(options.predictions, (root, labels), options.images, options.scenes),
        synthetic=synthetic,
        frame=frame,
        curve=read_loss_curve(options.log) if options.log else None,
        results=_table(results) if results else None,
    )
    path = write_report(options.out, data)
    log.info("wrote %s (%.1f MB)", path, path.stat().st_size / 1e6)
    if options.stills:
        written = write_stills(options.stills, data)
        log.info("wrote %d pictures to %s", len(written), options.stills)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="visual.py", description="Look at saved predictions in a browser.")
    parser.add_argument("predictions", type=Path, help="folder with <scene>/<token>.npz (tools/test.py --save)")
    parser.add_argument("ground_truth", type=Path, help="root of the data set, or its label folder")
    parser.add_argument("--out", type=Path, default=Path("viewer.html"), help="HTML file (default: %(default)s)")
    parser.add_argument("--images", type=Path, metavar="ROOT", help="root of the nuScenes tree with the images")
    parser.add_argument("--scenes", nargs="+", metavar="NAME", help="scenes to show (default: the first ones)")
    parser.add_argument("--stills", type=Path, metavar="DIR", help="also write one PNG per frame")
    parser.add_argument("--labels", choices=LABEL_SETS, default="occ3d", help="annotation (default: %(default)s)")
    parser.add_argument("--results", type=Path, nargs="+", default=[], metavar="JSON", help="result files to show")
    parser.add_argument("--log", type=Path, metavar="PATH", help="training log, or the work dir with it")
    parser.add_argument("--title", help="name of the run (default: the folder of the predictions)")
    return parser


def _table(results: list) -> ResultTable:
    """Metrics by file, with the protocol of the first and what differs in the others."""
    first = results[0][1].protocol
    shown = {k: v for k, v in first.to_dict().items() if k not in ("classes", "token_hash")}
    for name, result in results[1:]:
        for key, (_, value) in first.differences(result.protocol).items():
            shown[f"{key} of {name}"] = value
    return ResultTable({name: result.metrics for name, result in results}, shown)
