"""The grammar of conditions: `cluster_size >= 5 and email in disposable and phone is missing`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from quintet.rules.figures import TEXT_KINDS, RuleFigure

MISSING, KNOWN = "missing", "known"
TRUE, FALSE = "true", "false"
IN, NOT_IN = "in", "not in"
EQUAL, UNEQUAL = "=", "!="

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}

_NAME = r"([a-z0-9_]+)"
_COMPARISON = re.compile(rf"{_NAME}\s*(<=|>=|!=|<|>|=)\s*(-?\d+(?:\.\d+)?)")
_PRESENCE = re.compile(rf"{_NAME}\s+is\s+(missing|known)")
_FLAG = re.compile(rf"{_NAME}\s+is\s+(true|false)")
_TEXT = re.compile(rf'{_NAME}\s*(!=|=)\s*"([^"]+)"')
_MEMBERSHIP = re.compile(rf"{_NAME}\s+(in|not\s+in)\s+{_NAME}")
_AND = re.compile(r"""\s+and\s+(?=(?:[^"]*"[^"]*")*[^"]*$)""")

Value = float | str | bool | None
IsMember = Callable[[str, str], bool]
"""Whether the list of a name has a value."""


class ConditionError(ValueError):
    """A text is no condition; the message says why and how to write one."""


@dataclass(frozen=True)
class Condition:
    """A part of a condition: a figure compared with a number or a text, its presence, or its membership of a list.

    text: the text, or the name of the list.
    """

    name: str
    relation: str
    number: float = 0.0
    text: str = ""

    def holds(self, values: Mapping[str, Value], is_member: IsMember | None = None) -> bool:
        """Return whether it holds. A missing figure fulfils no comparison and is in no list, nor is it not in one."""
        value = values[self.name]
        if self.relation in (MISSING, KNOWN):
            return (value is None) == (self.relation == MISSING)
        if value is None:
            return False
        if self.relation in (TRUE, FALSE):
            return bool(value) == (self.relation == TRUE)
        if isinstance(value, str):
            if self.relation in (IN, NOT_IN):
                if is_member is None:
                    raise TypeError(f"{self} needs the list {self.text}")
                return is_member(self.text, value) == (self.relation == IN)
            return (folded(value) == self.text) == (self.relation == EQUAL)
        return COMPARISONS[self.relation](float(value), self.number)

    @property
    def list_name(self) -> str | None:
        """The list that it names; None without one."""
        return self.text if self.relation in (IN, NOT_IN) else None

    def __str__(self) -> str:
        """Return it as it is written."""
        if self.relation in (MISSING, KNOWN, TRUE, FALSE):
            return f"{self.name} is {self.relation}"
        if self.list_name is not None:
            return f"{self.name} {self.relation} {self.text}"
        return (
            f'{self.name} {self.relation} "{self.text}"'
            if self.text
            else f"{self.name} {self.relation} {self.number:g}"
        )


def folded(text: str) -> str:
    """Return a text as conditions and lists compare it: trimmed, in one case."""
    return text.strip().casefold()


def parse_conditions(
    text: str, figures: Mapping[str, RuleFigure], lists: Collection[str] = ()
) -> tuple[Condition, ...]:
    """Return the conditions that are joined by `and`. Raises ConditionError with what is wrong and how to fix it."""
    return tuple(_parse(part.strip(), figures, lists) for part in _AND.split(text))


def _parse(text: str, figures: Mapping[str, RuleFigure], lists: Collection[str]) -> Condition:
    if found := _PRESENCE.fullmatch(text):
        return Condition(_known(found[1], figures).name, found[2])
    if found := _FLAG.fullmatch(text):
        return _of_kind(Condition(found[1], found[2]), figures, frozenset(("flag",)))
    if found := _COMPARISON.fullmatch(text):
        return _of_kind(Condition(found[1], found[2], float(found[3])), figures, frozenset(("number",)))
    if (found := _TEXT.fullmatch(text)) and folded(found[3]):
        return _of_kind(Condition(found[1], found[2], text=folded(found[3])), figures, TEXT_KINDS)
    if found := _MEMBERSHIP.fullmatch(text):
        relation = NOT_IN if found[2].startswith("not") else IN
        condition = _of_kind(Condition(found[1], relation, text=found[3]), figures, TEXT_KINDS)
        if condition.text not in lists:
            raise ConditionError(f"there is no list {condition.text}; there are {', '.join(sorted(lists)) or 'none'}")
        return condition
    raise ConditionError(f"{text[:200]!r} is no condition; write one like: amount > 10000, or: amount is missing")


def _known(name: str, figures: Mapping[str, RuleFigure]) -> RuleFigure:
    if name not in figures:
        raise ConditionError(f"there is no figure {name}; there are {', '.join(sorted(figures))}")
    return figures[name]


_USES = {
    "number": "is a number; compare it with one, like: {name} > 5",
    "flag": "is true or false; write: {name} is true",
}


def _of_kind(condition: Condition, figures: Mapping[str, RuleFigure], kinds: frozenset[str]) -> Condition:
    figure = _known(condition.name, figures)
    if figure.kind in kinds:
        return condition
    use = _USES.get(figure.kind, 'is a text; write: {name} = "value", or: {name} in a_list')
    raise ConditionError(f"{figure.name} {use.format(name=figure.name)}")
