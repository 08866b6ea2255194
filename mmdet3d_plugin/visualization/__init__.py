"""Looking at occupancy: an offline viewer in one HTML file, and pictures without a browser."""

from .curves import read_loss_curve
from .report import write_report
from .stills import compose_panel, render_still, write_stills
from .views import FrameView, LossCurve, ReportData, ResultTable, SceneView

__all__ = [
    "FrameView",
    "LossCurve",
    "ReportData",
    "ResultTable",
    "SceneView",
    "compose_panel",
    "read_loss_curve",
    "render_still",
    "write_report",
    "write_stills",
]
