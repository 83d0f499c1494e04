"""The lending policy: rules, cut-offs and their reasons, in a file that a risk manager edits."""

from __future__ import annotations

import hashlib
import math
import operator
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast, get_args

from quintet.lending.feature_registry import features
from quintet.lending.scoring import APPLICATION_FIELDS, REASONS, Scored

DEFAULT_POLICY = Path(__file__).parents[2] / "policy" / "lending.toml"

Verdict = Literal["approve", "refer", "reject"]
STRICTER: tuple[Verdict, ...] = get_args(Verdict)
"""The decisions, the strictest last."""

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
_COMPARISON = re.compile(r"([a-z0-9_]+)\s*(<=|>=|<|>|=)\s*(-?\d+(?:\.\d+)?)")
_PRESENCE = re.compile(r"([a-z0-9_]+)\s+is\s+(missing|known)")
_CODE = re.compile(r"[A-Z][A-Z0-9_]*")
_SECTION = re.compile(r"\s*\[\[?\s*([a-z_]+)\s*\]?\]")
_SETTING = re.compile(r"\s*([a-z_]+)\s*=")
_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)")

_SETTINGS: dict[str, tuple[str, ...]] = {
    "score": ("approve_below", "reject_from", "code", "sentence"),
    "no_history": ("when", "approve_up_to", "code", "sentence"),
    "unavailable": ("code", "sentence"),
    "rule": ("when", "decision", "code", "sentence"),
}


class PolicyError(ValueError):
    """A policy file is invalid; the message names the line, the fault and the fix."""


@dataclass(frozen=True)
class Outcome:
    """A decision and the codes of its reasons, the policy's first; an approval needs none."""

    decision: Verdict
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Condition:
    """A part of a condition: a figure compared with a number, or its presence (`missing` or `known`)."""

    name: str
    relation: str
    number: float = 0.0

    def holds(self, values: Mapping[str, float | None]) -> bool:
        """Return whether it holds. A missing figure fulfils no comparison."""
        value = values[self.name]
        if self.relation in ("missing", "known"):
            return (value is None) == (self.relation == "missing")
        return value is not None and _OPERATORS[self.relation](value, self.number)


@dataclass(frozen=True)
class Rule:
    """A decision and its reason where all conditions hold."""

    when: tuple[Condition, ...]
    decision: Verdict
    code: str

    def holds(self, values: Mapping[str, float | None]) -> bool:
        """Return whether all of the rule's conditions hold."""
        return all(condition.holds(values) for condition in self.when)


@dataclass(frozen=True)
class Policy:
    """A policy, as its file describes it. sentences: by code of the policy. text: the file, for the decision log."""

    version: str
    approve_below: float
    reject_from: float
    score_code: str
    no_history: tuple[Condition, ...]
    approve_up_to: float
    no_history_code: str
    unavailable_code: str
    rules: tuple[Rule, ...]
    sentences: Mapping[str, str]
    text: str

    @classmethod
    def from_text(cls, text: str, known: Iterable[str] | None = None) -> Policy:
        """Parse the text of a policy file. Raises PolicyError with the line of the fault.

        known: the names that conditions may use; by default all features and fields of an application.
        """
        names = frozenset(known) if known is not None else known_names()
        return _read(text, names)

    @cached_property
    def sha256(self) -> str:
        """The hash of the file's text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def needs(self) -> frozenset[str]:
        """The figures that its conditions name."""
        conditions = (condition for rule in self.rules for condition in rule.when)
        return frozenset(condition.name for condition in (*conditions, *self.no_history)) | {"amount"}

    def decide(self, values: Mapping[str, float | None], scored: Scored | None) -> Outcome:
        """Decide from the figures by name (None: null by the figure's own rule) and the score.

        Refers if a figure that the policy needs is not in `values`, or if a score is needed and is None.
        """
        if not self.needs <= values.keys():
            return Outcome("refer", (self.unavailable_code,))
        spoken = [rule for rule in self.rules if rule.holds(values)]
        reasons = [rule.code for rule in spoken]
        decisions: list[Verdict] = [rule.decision for rule in spoken]
        if all(condition.holds(values) for condition in self.no_history):
            amount = values["amount"]
            decisions.append("approve" if amount is not None and amount <= self.approve_up_to else "refer")
            reasons.append(self.no_history_code)
        elif scored is None or math.isnan(scored.default_probability):
            return Outcome("refer", (*reasons, self.unavailable_code))
        else:
            by_score = self._by_score(scored.default_probability)
            decisions.append(by_score)
            if by_score != "approve":
                reasons += [self.score_code, *scored.reasons]
        decision = max(decisions, key=STRICTER.index)
        return Outcome(decision, tuple(dict.fromkeys(reasons)))

    def _by_score(self, probability: float) -> Verdict:
        if probability >= self.reject_from:
            return "reject"
        return "approve" if probability < self.approve_below else "refer"


def known_names() -> frozenset[str]:
    """Return the names that conditions may use: all features and the fields of an application."""
    return frozenset(feature.name for feature in features()) | frozenset(APPLICATION_FIELDS)


def read_policy(path: Path = DEFAULT_POLICY) -> Policy:
    """Read a policy file. Raises PolicyError with file and line."""
    try:
        return Policy.from_text(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path} cannot be read: {error}") from None
    except PolicyError as error:
        raise PolicyError(f"{path}, {error}") from None


@dataclass(frozen=True)
class _Reader:
    """One section of the file. lines: the line of each setting; "" is the section's head."""

    name: str
    given: Mapping[str, Any]
    lines: Mapping[str, int]

    def fail(self, what: str, setting: str = "") -> PolicyError:
        return PolicyError(f"line {self.lines.get(setting, self.lines[''])}: {what}")

    def check_settings(self) -> None:
        expected = _SETTINGS[self.name]
        for setting in self.given:
            if setting not in expected:
                raise self.fail(f"[{self.name}] has no {setting}; there are {', '.join(expected)}", setting)
        for setting in expected:
            if setting not in self.given:
                raise self.fail(f"[{self.name}] lacks {setting}")

    def text(self, setting: str) -> str:
        value = self.given[setting]
        if not isinstance(value, str) or not value.strip():
            raise self.fail(f"{setting} must be a text in quotes", setting)
        return value.strip()

    def number(self, setting: str, most: float = math.inf) -> float:
        value = self.given[setting]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
            limit = "" if most == math.inf else f" and at most {most:g}"
            raise self.fail(f"{setting} must be a number, at least 0{limit}", setting)
        return float(value)

    def code(self) -> str:
        found = self.text("code")
        if not _CODE.fullmatch(found):
            raise self.fail(f"code {found!r} must have only capitals, digits and _, like OVERDUE_LOAN", "code")
        return found

    def decision(self) -> Verdict:
        found = self.text("decision")
        if found not in ("refer", "reject"):
            raise self.fail(f"decision is {found!r}; it must be refer or reject", "decision")
        return cast(Verdict, found)

    def conditions(self, names: frozenset[str]) -> tuple[Condition, ...]:
        return tuple(self._condition(part.strip(), names) for part in self.text("when").split(" and "))

    def _condition(self, text: str, names: frozenset[str]) -> Condition:
        if found := _COMPARISON.fullmatch(text):
            condition = Condition(found[1], found[2], float(found[3]))
        elif found := _PRESENCE.fullmatch(text):
            condition = Condition(found[1], found[2])
        else:
            raise self.fail(f"{text!r} is no condition; write one like: amount > 10000, or: amount is missing", "when")
        if condition.name not in names:
            raise self.fail(f"there is no figure {condition.name}; there are {', '.join(sorted(names))}", "when")
        return condition


def _read(text: str, names: frozenset[str]) -> Policy:
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _AT_LINE.search(str(error))
        line = int(found[1]) if found else len(text.splitlines())
        raise PolicyError(f"line {line}: {_AT_LINE.sub('', str(error)).strip()}") from None
    places = _places(text)
    for name in given:
        if name != "version" and name not in _SETTINGS:
            line = places.get((name, 0), {"": places["", 0].get(name, 1)})[""]
            raise PolicyError(f"line {line}: there is no {name}; there are version, {', '.join(_SETTINGS)}")
    version = given.get("version")
    if not isinstance(version, str) or not version.strip():
        raise PolicyError(f'line {places["", 0].get("version", 1)}: version must be a text in quotes, like "2026-11-1"')
    sections = {name: _section(name, given, places) for name in ("score", "no_history", "unavailable")}
    rules = _rules(given, places)
    for section in (*sections.values(), *rules):
        section.check_settings()
    score, no_history, unavailable = sections.values()
    approve_below, reject_from = score.number("approve_below", 1), score.number("reject_from", 1)
    if approve_below > reject_from:
        raise score.fail("approve_below is above reject_from; it must not be, or no score is referred", "approve_below")
    return Policy(
        version=version.strip(),
        approve_below=approve_below,
        reject_from=reject_from,
        score_code=score.code(),
        no_history=no_history.conditions(names),
        approve_up_to=no_history.number("approve_up_to"),
        no_history_code=no_history.code(),
        unavailable_code=unavailable.code(),
        rules=tuple(Rule(rule.conditions(names), rule.decision(), rule.code()) for rule in rules),
        sentences=_sentences((*sections.values(), *rules)),
        text=text,
    )


_Places = Mapping[tuple[str, int], Mapping[str, int]]
"""By section and its number (there are several rules): the line of each setting, and of the head under ""."""


def _section(name: str, given: Mapping[str, Any], places: _Places) -> _Reader:
    found = given.get(name)
    if not isinstance(found, dict):
        raise PolicyError(f"line {places.get((name, 0), {'': 1})['']}: the section [{name}] is missing")
    return _Reader(name, found, places.get((name, 0), {"": 1}))


def _rules(given: Mapping[str, Any], places: _Places) -> list[_Reader]:
    found = given.get("rule", [])
    if not isinstance(found, list) or not all(isinstance(rule, dict) for rule in found):
        raise PolicyError(f"line {places.get(('rule', 0), {'': 1})['']}: a rule begins with [[rule]]")
    return [_Reader("rule", rule, places.get(("rule", number), {"": 1})) for number, rule in enumerate(found)]


def _sentences(sections: Sequence[_Reader]) -> dict[str, str]:
    found: dict[str, str] = {}
    for section in sections:
        code, sentence = section.code(), section.text("sentence")
        if code in REASONS:
            raise section.fail(f"code {code} is one of the scoring model's reasons; take another", "code")
        if found.setdefault(code, sentence) != sentence:
            raise section.fail(f"code {code} has two sentences; give each sentence its own code", "sentence")
    return found


def _places(text: str) -> dict[tuple[str, int], dict[str, int]]:
    """Find the lines of sections and settings, which tomllib does not report."""
    section = ("", 0)
    found: dict[tuple[str, int], dict[str, int]] = {section: {"": 1}}
    for number, line in enumerate(text.splitlines(), start=1):
        if head := _SECTION.match(line):
            section = (head[1], sum(name == head[1] for name, _ in found))
            found[section] = {"": number}
        elif setting := _SETTING.match(line):
            found[section].setdefault(setting[1], number)
    return found
