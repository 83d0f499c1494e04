"""What a business declares for its rules: the figures that conditions may name, and the decisions in their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Kind = Literal["number", "flag", "text", "address", "email", "phone"]
"""What a figure is. Addresses, e-mail addresses and phone numbers are texts that lists match by their parts."""

TEXT_KINDS: frozenset[Kind] = frozenset(("text", "address", "email", "phone"))


@dataclass(frozen=True)
class RuleFigure:
    """A figure that conditions may name. unit: of a number, such as `days`; "" for a count or a share."""

    name: str
    kind: Kind
    description: str
    unit: str = ""


@dataclass(frozen=True)
class RuleGrammar:
    """The rules of a business.

    domain: its name. figures: by name. decisions: what rules may decide, the first that applies wins. list_decisions:
    the decision by what a list does (`allow`, `block`, `watch`). blocking: the decision that refuses a subject.
    subject: what is decided on, in the singular.
    """

    domain: str
    figures: Mapping[str, RuleFigure]
    decisions: tuple[str, ...]
    subject: str
    blocking: str = ""
    list_decisions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def by_name(figures: Iterable[RuleFigure]) -> Mapping[str, RuleFigure]:
    """Return the figures by name."""
    return MappingProxyType({figure.name: figure for figure in figures})


def numbers(names: Iterable[str]) -> Mapping[str, RuleFigure]:
    """Return figures that are numbers, for callers that know their names alone."""
    return by_name(RuleFigure(name, "number", "") for name in names)
