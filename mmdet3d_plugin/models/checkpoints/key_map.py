"""Published parameter names to ours, by declarative tables (design section 5)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ...errors import CheckpointError

_LISTED = 10
_REFERENCE = re.compile(r"\\(\d)|\\g<(\w+)>")  # to a group, in a target
_GROUP = re.compile(r"\((?:\?P<(\w+)>)?[^()]*\)")  # without groups inside, in a pattern


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

    def inverse(self, ours: str) -> str | None:
        """The published key that becomes `ours`, None where no key does or the pattern is too rich to tell."""
        names = _REFERENCE.findall(self.target)
        fixed = _REFERENCE.split(self.target)[::3]  # two groups of the expression follow every fixed part
        found = re.fullmatch("(.*?)".join(map(re.escape, fixed)), ours)
        if found is None:
            return None
        values = {number or name: text for (number, name), text in zip(names, found.groups())}
        groups = iter(range(1, 1 + re.compile(self.pattern).groups))
        filled = _GROUP.sub(lambda group: values.get(group[1] or str(next(groups)), "?"), self.pattern)
        published = filled.replace(r"\.", ".")
        match = re.fullmatch(self.pattern, published)
        return published if match is not None and match.expand(self.target) == ours else None


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
class Tie:
    """Published keys that match `pattern` name a tensor that another published key names too.

    They are dropped, but only where both hold the same values: a file in which they differ is damaged.

    Attributes:
        pattern: regular expression for the whole key.
        twin: the other published key; `\\1` stands for the first group of the pattern.
    """

    pattern: str
    twin: str


Rule = Rename | Drop | Tie


@dataclass
class Conversion:
    """What a table makes of a published state dict.

    Attributes:
        state: our keys and tensors.
        origin: published key of every key of ours.
        dropped: keys that are not needed, by reason.
        unknown: keys that no rule names.
        problems: what else is wrong with the state dict, in words.
    """

    state: dict[str, Tensor] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, list[str]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class KeyTable:
    """How the published checkpoints of a method map to its network.

    Attributes:
        method: name of the method.
        signature: beginning of a key that only checkpoints of this method have.
        rules: the first rule whose pattern matches a key decides.
        variant: beginning of a key that, among the checkpoints of this method, only those of the variant have;
            tables of variants stand before that of the method.
    """

    method: str
    signature: str
    rules: tuple[Rule, ...]
    variant: str = ""

    def recognises(self, keys: Iterable[str]) -> bool:
        """True when the keys are those of a published checkpoint of this method."""
        keys = list(keys)
        return all(any(key.startswith(start) for key in keys) for start in (self.signature, self.variant))

    def match(self, state: Mapping[str, Tensor]) -> Conversion:
        """Convert a published state dict, and list whatever is wrong with it instead of raising."""
        result = Conversion()
        for key, tensor in state.items():
            rule, match = self._rule(key)
            if rule is None or match is None:
                result.unknown.append(key)
            elif isinstance(rule, Drop):
                result.dropped.setdefault(rule.reason, []).append(key)
            elif isinstance(rule, Tie):
                _check_tie(result, key, match.expand(rule.twin), state)
            else:
                target = match.expand(rule.target)
                if target in result.state:
                    twins = f"{result.origin[target]!r} and {key!r}"
                    result.problems.append(f"published keys {twins} both become {target!r}")
                    continue
                result.state[target] = rule.convert(tensor) if rule.convert else tensor
                result.origin[target] = key
        return result

    def convert(self, state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, list[str]]]:
        """Convert a published state dict.

        Returns:
            our state dict, and the dropped keys by reason.

        Raises:
            CheckpointError: no rule names a key, two keys have the same target, or tied tensors differ.
        """
        result = self.match(state)
        problems = list(result.problems)
        if result.unknown:
            problems.append(f"no rule of {self.method} names: {abbreviated(result.unknown)}")
        if problems:
            raise CheckpointError(
                f"the checkpoint is not one of {self.method} as published",
                found="\n            ".join(problems),
                fix="it belongs to another variant; use the config with the name of the checkpoint",
            )
        return result.state, result.dropped

    def published_names(self, ours: str) -> list[str]:
        """The published keys that become `ours`, as far as the table tells; variants of a method may differ."""
        candidates = dict.fromkeys(rule.inverse(ours) for rule in self.rules if isinstance(rule, Rename))
        return [key for key in candidates if key is not None and self._target(key) == ours]

    def _target(self, key: str) -> str | None:
        rule, match = self._rule(key)
        return match.expand(rule.target) if isinstance(rule, Rename) and match is not None else None

    def _rule(self, key: str) -> tuple[Rule | None, re.Match[str] | None]:
        for rule in self.rules:
            match = re.fullmatch(rule.pattern, key)
            if match:
                return rule, match
        return None, None


def _check_tie(result: Conversion, key: str, twin: str, state: Mapping[str, Tensor]) -> None:
    """Drop a tied key, or say why that would lose something."""
    result.dropped.setdefault(f"the same tensor as {twin}", []).append(key)
    if twin not in state:
        result.problems.append(f"{key} is there, but not {twin}, which is the same tensor")
    elif state[twin].shape != state[key].shape:
        shapes = tuple(state[key].shape), tuple(state[twin].shape)
        result.problems.append(f"{key} {shapes[0]} and {twin} {shapes[1]} are the same tensor, but have other shapes")
    elif not state[key].is_meta and not torch.equal(state[key], state[twin]):
        result.problems.append(f"{key} and {twin} are the same tensor, but hold other values: the file is damaged")


def abbreviated(names: Iterable[str]) -> str:
    """The first names of a list, one a line, and how many follow."""
    names = sorted(names)
    rest = [f"... and {len(names) - _LISTED} more"] if len(names) > _LISTED else []
    return "\n            ".join(names[:_LISTED] + rest)
