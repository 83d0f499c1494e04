"""A set of rules and the lists that they name, read from a TOML text that a person writes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from quintet.rules.conditions import Condition, ConditionError, parse_conditions
from quintet.rules.contradictions import impossible, overruled
from quintet.rules.faults import Code, Described, Section, Text, validated
from quintet.rules.figures import RuleGrammar
from quintet.rules.lines import FormError, Lines, Place
from quintet.rules.lists import KINDS_OF, ListForm, Matches

MOST_RULES = 1_000
LONGEST_TEXT = 1_000_000
NO_ACTION = "none"

ListName = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class RuleForm(Section):
    """A section [[rule]]: a decision where all conditions hold."""

    when: Text
    decision: Text
    code: Code
    sentence: Text


class ListSection(Section):
    """A section [[list]]: its entries are not in the file."""

    name: ListName
    figure: Text
    matches: Literal["value", "network", "email_domain", "phone_prefix"] = "value"
    action: Literal["allow", "block", "watch", "none"]
    sentence: Text | None = None


_Rules = list[RuleForm]
_Lists = list[ListSection]
"""Named, since the field `list` hides the type."""


class RuleSetForm(Section):
    """A whole file."""

    version: Text
    rule: _Rules = Field(default_factory=list)
    list: _Lists = Field(default_factory=list)


_DESCRIBED = Described(
    sections={"rule": RuleForm, "list": ListSection},
    repeated=("rule", "list"),
    requirements={"version": 'a text in quotes, like "2026-11-1"'},
    example="DISPOSABLE_EMAIL",
)


@dataclass(frozen=True)
class Rule:
    """A decision and its reason where all conditions hold. line: of its head in the text."""

    when: tuple[Condition, ...]
    decision: str
    code: str
    sentence: str
    line: int


@dataclass(frozen=True)
class RuleSet:
    """Rules of a business, as their text describes them."""

    version: str
    rules: tuple[Rule, ...]
    lists: Mapping[str, ListForm]
    text: str

    @classmethod
    def from_text(cls, text: str, grammar: RuleGrammar) -> RuleSet:
        """Parse a text. Raises FormError with the line of the first fault."""
        if len(text) > LONGEST_TEXT:
            raise FormError(f"line 1: the rules have more than {LONGEST_TEXT:,} characters; put values into lists")
        form, lines = validated(RuleSetForm, text, _DESCRIBED)
        if len(form.rule) > MOST_RULES:
            raise lines.fault(f"there are more than {MOST_RULES:,} rules", Place("rule", MOST_RULES))
        lists = _lists(form, grammar, lines)
        rules = _rules(form, grammar, lists, lines)
        _check_codes(rules, lists, lines)
        for at, rule in enumerate(rules):
            if (why := impossible(rule.when)) is not None:
                raise lines.fault(f"{rule.code} can never hold: {why}", Place("rule", at), "when")
            by = overruled(at, rules, grammar.decisions)
            if by is not None:
                other = rules[by]
                what = (
                    f"{rule.code} ({rule.decision}) contradicts {other.code} ({other.decision}, line {other.line}), "
                    f"which holds wherever it does and wins. Narrow {other.code}, or remove {rule.code}."
                )
                raise lines.fault(what, Place("rule", at), "when")
        return cls(form.version, rules, lists, text)

    @cached_property
    def sha256(self) -> str:
        """The hash of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def sentences(self) -> Mapping[str, str]:
        """The sentence of each reason: of rules, and of lists that decide by themselves."""
        of_lists = {one.code: one.sentence for one in self.lists.values() if one.action != NO_ACTION}
        return of_lists | {rule.code: rule.sentence for rule in self.rules}

    @cached_property
    def needs(self) -> frozenset[str]:
        """The figures that it reads."""
        of_rules = {condition.name for rule in self.rules for condition in rule.when}
        return frozenset(of_rules | {one.figure for one in self.lists.values() if one.action != NO_ACTION})


def _lists(form: RuleSetForm, grammar: RuleGrammar, lines: Lines) -> dict[str, ListForm]:
    found: dict[str, ListForm] = {}
    for number, section in enumerate(form.list):
        place, matches = Place("list", number), section.matches
        figure = grammar.figures.get(section.figure)
        if figure is None:
            what = f"there is no figure {section.figure}; there are {', '.join(_fitting(grammar, matches))}"
            raise lines.fault(what, place, "figure")
        if figure.kind not in KINDS_OF[matches]:
            fitting = ", ".join(_fitting(grammar, matches)) or "none"
            what = f"a list of {matches} does not apply to {section.figure}; it applies to {fitting}"
            raise lines.fault(what, place, "matches")
        if section.action != NO_ACTION and section.action not in grammar.list_decisions:
            raise lines.fault(f"a list of {grammar.domain} has the action none", place, "action")
        if section.action != NO_ACTION and section.sentence is None:
            raise lines.fault("[list] lacks sentence, the reason for what it decides", place)
        if section.name in found:
            raise lines.fault(f"there are two lists {section.name}; rename one", place, "name")
        found[section.name] = ListForm(section.name, section.figure, matches, section.action, section.sentence or "")
    return found


def _fitting(grammar: RuleGrammar, matches: Matches) -> list[str]:
    return sorted(name for name, figure in grammar.figures.items() if figure.kind in KINDS_OF[matches])


def _rules(form: RuleSetForm, grammar: RuleGrammar, lists: Mapping[str, ListForm], lines: Lines) -> tuple[Rule, ...]:
    found = []
    for number, section in enumerate(form.rule):
        place = Place("rule", number)
        if section.decision not in grammar.decisions:
            what = f"decision is {section.decision!r}; it must be {' or '.join(grammar.decisions)}"
            raise lines.fault(what, place, "decision")
        try:
            when = parse_conditions(section.when, grammar.figures, lists)
            _check_lists(when, grammar, lists)
        except ConditionError as error:
            raise lines.fault(str(error), place, "when") from None
        found.append(Rule(when, section.decision, section.code, section.sentence, lines.line(place)))
    return tuple(found)


def _check_lists(when: tuple[Condition, ...], grammar: RuleGrammar, lists: Mapping[str, ListForm]) -> None:
    for condition in when:
        if (name := condition.list_name) is not None:
            matches = lists[name].matches
            if grammar.figures[condition.name].kind not in KINDS_OF[matches]:
                raise ConditionError(f"{name} is a list of {matches}, which does not apply to {condition.name}")


def _check_codes(rules: tuple[Rule, ...], lists: Mapping[str, ListForm], lines: Lines) -> None:
    of_lists = {one.code for one in lists.values()}
    first: dict[str, Rule] = {}
    for at, rule in enumerate(rules):
        other = first.setdefault(rule.code, rule)
        if other is not rule:
            what = f"code {rule.code} is the code of line {other.line} too; give each rule its own"
            raise lines.fault(what, Place("rule", at), "code")
        if rule.code in of_lists:
            raise lines.fault(f"code {rule.code} is the code of a list; take another", Place("rule", at), "code")
