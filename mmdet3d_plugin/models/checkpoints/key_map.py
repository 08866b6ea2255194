"""Published parameter names to ours, by declarative tables (design section 5)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from ...errors import CheckpointError

_LISTED = 10


@dataclass(frozen=True)
class Rename:
    """Published keys that match `pattern` become `target`.

    Attributes:
        pattern: regular expression for the whole key.
        target: our key; `\\1` stands for the first group of the pattern.
        convert: what is done to the tensor on the way.
    """

    pattern: str
    target: str
    convert: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True)
class Drop:
    """Published keys that match `pattern` are not needed, for a reason.

    Attributes:
        pattern: regular expression for the whole key.
        reason: why nothing is lost.
    """

    pattern: str
    reason: str


@dataclass(frozen=True)
class KeyTable:
    """How the published checkpoints of a method map to its network.

    Attributes:
        method: name of the method.
        signature: beginning of a key that only checkpoints of this method have.
        rules: the first rule whose pattern matches a key decides.
    """

    method: str
    signature: str
    rules: tuple[Rename | Drop, ...]

    def recognises(self, keys: Iterable[str]) -> bool:
        """True when the keys are those of a published checkpoint of this method."""
        return any(key.startswith(self.signature) for key in keys)

    def convert(self, state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, list[str]]]:
        """Convert a published state dict.

        Returns:
            our state dict, and the dropped keys by reason.

        Raises:
            CheckpointError: no rule names a key, or two keys have the same target.
        """
        ours: dict[str, Tensor] = {}
        origin: dict[str, str] = {}
        dropped: dict[str, list[str]] = {}
        unknown = []
        for key, tensor in state.items():
            rule, match = self._rule(key)
            if rule is None or match is None:
                unknown.append(key)
            elif isinstance(rule, Drop):
                dropped.setdefault(rule.reason, []).append(key)
            else:
                target = match.expand(rule.target)
                if target in ours:
                    raise CheckpointError(f"published keys {origin[target]!r} and {key!r} both become {target!r}")
                ours[target] = rule.convert(tensor) if rule.convert else tensor
                origin[target] = key
        if unknown:
            raise CheckpointError(
                f"the checkpoint has keys that no rule of {self.method} names",
                found=abbreviated(unknown),
                fix="it belongs to another variant; use the config with the name of the checkpoint",
            )
        return ours, dropped

    def _rule(self, key: str) -> tuple[Rename | Drop | None, re.Match[str] | None]:
        for rule in self.rules:
            match = re.fullmatch(rule.pattern, key)
            if match:
                return rule, match
        return None, None


def abbreviated(names: Iterable[str]) -> str:
    """The first names of a list, one a line, and how many follow."""
    names = sorted(names)
    rest = [f"... and {len(names) - _LISTED} more"] if len(names) > _LISTED else []
    return "\n            ".join(names[:_LISTED] + rest)
