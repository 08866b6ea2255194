"""A range of numbers cut into equal bins, so that a network can predict a number as a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ...errors import ConfigError

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class EqualBins:
    """Base of the bins of a quantity.

    Attributes:
        quantity: its name, for messages.
        start, stop: of the range, in the unit of the quantity.
        step: width of a bin.

    Raises:
        ConfigError: there is no bin.
    """

    quantity: ClassVar[str]
    start: float
    stop: float
    step: float

    def __post_init__(self) -> None:
        if self.step <= 0 or self.stop - self.start < self.step:
            raise ConfigError(
                f"the {self.quantity} bins are empty",
                found=self,
                expected="step > 0 and stop - start >= step",
                fix="(start, stop, step)",
            )

    @classmethod
    def from_config(cls, cfg: Self | Sequence[float]) -> Self:
        """Build from a config value `(start, stop, step)`, or pass bins through.

        Raises:
            ConfigError: there are not three values, or no bin.
        """
        if isinstance(cfg, cls):
            return cfg
        if len(cfg) != 3:  # type: ignore[arg-type]
            raise ConfigError(f"{cls.quantity} bins are three numbers", found=cfg, expected="(start, stop, step)")
        return cls(*cfg)  # type: ignore[misc]

    @property
    def num(self) -> int:
        """Number of bins."""
        return int((self.stop - self.start) / self.step + 1e-9)
