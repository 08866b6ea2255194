"""One table per published method."""

from .alocc import ALOCC
from .bevdetocc import BEVDETOCC

TABLES = (ALOCC, BEVDETOCC)

__all__ = ["ALOCC", "BEVDETOCC", "TABLES"]
