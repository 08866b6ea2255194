"""One table per published method."""

from .alocc import ALOCC
from .bevdetocc import BEVDETOCC
from .gdfusion import ALOCC_GDFUSION, BEVDETOCC_GDFUSION

TABLES = (ALOCC_GDFUSION, BEVDETOCC_GDFUSION, ALOCC, BEVDETOCC)  # variants before their methods

__all__ = ["ALOCC", "ALOCC_GDFUSION", "BEVDETOCC", "BEVDETOCC_GDFUSION", "TABLES"]
