"""Find rules that can never decide: impossible conditions, and rules that a stronger one always overrules."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from quintet.rules.conditions import (
    EQUAL,
    FALSE,
    IN,
    KNOWN,
    MISSING,
    NOT_IN,
    TRUE,
    Condition,
)

if TYPE_CHECKING:
    from quintet.rules.rule_set import Rule


@dataclass
class _Allowed:
    """The values of one figure that conditions allow.

    low, high: of a number, the bounds, exclusive where the flag is set. excluded: numbers and texts. equal: the text
    or the flag that it must be. in_lists, out_of_lists: names.
    """

    is_missing: bool | None = None
    low: float = -math.inf
    high: float = math.inf
    is_low_open: bool = False
    is_high_open: bool = False
    excluded: set[float | str] = field(default_factory=set)
    equal: set[str] = field(default_factory=set)
    in_lists: set[str] = field(default_factory=set)
    out_of_lists: set[str] = field(default_factory=set)

    def add(self, condition: Condition) -> None:
        relation, number = condition.relation, condition.number
        if relation == MISSING:
            self.is_missing = True if self.is_missing is not False else None
            self.equal |= {"missing"} if self.is_missing is None else set()
            return
        if self.is_missing:
            self.equal.add("missing")
        self.is_missing = False
        if relation == KNOWN:
            return
        if relation in (TRUE, FALSE):
            self.equal.add(relation)
        elif relation in (IN, NOT_IN):
            (self.in_lists if relation == IN else self.out_of_lists).add(condition.text)
        elif condition.text:
            (self.equal if relation == EQUAL else self.excluded).add(condition.text)
        else:
            self._bound(relation, number)

    def _bound(self, relation: str, number: float) -> None:
        if relation == "!=":
            self.excluded.add(number)
        if relation in (">", ">=", "=") and (number, relation == ">") > (self.low, self.is_low_open):
            self.low, self.is_low_open = number, relation == ">"
        if relation in ("<", "<=", "=") and (-number, relation == "<") > (-self.high, self.is_high_open):
            self.high, self.is_high_open = number, relation == "<"

    def is_empty(self) -> bool:
        """Return whether no value is allowed."""
        if "missing" in self.equal or len(self.equal) > 1 or self.equal & self.excluded:
            return True
        if self.low > self.high or (self.low == self.high and (self.is_low_open or self.is_high_open)):
            return True
        return bool(self.in_lists & self.out_of_lists) or (self.low == self.high and self.low in self.excluded)

    def implies(self, other: _Allowed) -> bool:
        """Return whether every value that this allows is allowed by the other as well."""
        if other.is_missing is not None and other.is_missing != self.is_missing:
            return False
        return (
            (self.low, self.is_low_open) >= (other.low, other.is_low_open)
            and (-self.high, self.is_high_open) >= (-other.high, other.is_high_open)
            and other.equal <= self.equal
            and all(self._excludes(value) for value in other.excluded)
            and other.in_lists <= self.in_lists
            and other.out_of_lists <= self.out_of_lists
        )

    def _excludes(self, value: float | str) -> bool:
        if isinstance(value, str):
            return value in self.excluded or (bool(self.equal) and value not in self.equal)
        is_outside = value < self.low or value > self.high
        is_at_bound = (value == self.low and self.is_low_open) or (value == self.high and self.is_high_open)
        return value in self.excluded or is_outside or is_at_bound


def _allowed(when: Sequence[Condition]) -> Mapping[str, _Allowed]:
    found: dict[str, _Allowed] = {}
    for condition in when:
        found.setdefault(condition.name, _Allowed()).add(condition)
    return found


def impossible(when: Sequence[Condition]) -> str | None:
    """Return why the conditions can never hold together, in words; None if they can."""
    for name, allowed in _allowed(when).items():
        if allowed.is_empty():
            return " and ".join(str(condition) for condition in when if condition.name == name)
    return None


def overruled(at: int, rules: Sequence[Rule], decisions: Sequence[str]) -> int | None:
    """Return the place of a rule that holds wherever the rule at `at` does and wins over it; None without one.

    decisions: the first that applies wins.
    """
    rank = {decision: place for place, decision in enumerate(decisions)}
    own, allowed = rules[at], _allowed(rules[at].when)
    for place, other in enumerate(rules):
        if rank[other.decision] < rank[own.decision]:
            wanted = _allowed(other.when)
            if all(name in allowed and allowed[name].implies(each) for name, each in wanted.items()):
                return place
    return None
