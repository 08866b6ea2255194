"""What backbones of four stages share."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import ConfigError


def checked_stages(backbone: str, stages: Sequence[int]) -> tuple[int, ...]:
    """The stages whose outputs a backbone returns.

    Raises:
        ConfigError: they are not some of 0, 1, 2, 3, ascending.
    """
    if not stages or list(stages) != sorted(set(stages)) or not set(stages) <= {0, 1, 2, 3}:
        raise ConfigError(f"{backbone}.out_stages", found=stages, expected="ascending stages out of 0, 1, 2, 3")
    return tuple(stages)


def checked_depths(backbone: str, depths: Sequence[int]) -> tuple[int, ...]:
    """The numbers of blocks of the stages.

    Raises:
        ConfigError: they are not four.
    """
    if len(depths) != 4 or min(depths) < 0:
        raise ConfigError(f"{backbone}.depths", found=depths, expected="four numbers of blocks, one per stage")
    return tuple(depths)
