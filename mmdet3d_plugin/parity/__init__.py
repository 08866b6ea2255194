"""Does our implementation compute what the published models compute? Comparison with golden figures."""

from .forward import Comparison, compare_forward
from .model import build_parity_model, find_config, read_golden

__all__ = ["Comparison", "build_parity_model", "compare_forward", "find_config", "read_golden"]
