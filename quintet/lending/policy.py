"""The lending policy: rules, cut-offs and their reasons, in a file that a risk manager edits."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Literal, get_args

from quintet.lending.feature_registry import features
from quintet.lending.policy_form import Lines, Place, PolicyError, PolicyForm, read_form
from quintet.lending.scoring import APPLICATION_FIELDS, REASONS, Scored
from quintet.rules.conditions import Condition, ConditionError, parse_conditions
from quintet.rules.figures import RuleFigure, numbers

DEFAULT_POLICY = Path(__file__).parents[2] / "policy" / "lending.toml"

Verdict = Literal["approve", "refer", "reject"]
STRICTER: tuple[Verdict, ...] = get_args(Verdict)
"""The decisions, the strictest last."""


@dataclass(frozen=True)
class Outcome:
    """A decision and the codes of its reasons, the policy's first; an approval needs none."""

    decision: Verdict
    reasons: tuple[str, ...]


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


def _read(text: str, names: frozenset[str]) -> Policy:
    form, lines = read_form(text)
    score, no_history = form.score, form.no_history
    if score.approve_below > score.reject_from:
        what = "approve_below is above reject_from; it must not be, or no score is referred"
        raise lines.fault(what, Place("score"), "approve_below")
    when = partial(_conditions, known=numbers(names), lines=lines)
    return Policy(
        version=form.version,
        approve_below=score.approve_below,
        reject_from=score.reject_from,
        score_code=score.code,
        no_history=when(no_history.when, Place("no_history")),
        approve_up_to=no_history.approve_up_to,
        no_history_code=no_history.code,
        unavailable_code=form.unavailable.code,
        rules=tuple(
            Rule(when(rule.when, Place("rule", number)), rule.decision, rule.code)
            for number, rule in enumerate(form.rule)
        ),
        sentences=_sentences(form, lines),
        text=text,
    )


def _conditions(text: str, place: Place, known: Mapping[str, RuleFigure], lines: Lines) -> tuple[Condition, ...]:
    try:
        return parse_conditions(text, known)
    except ConditionError as error:
        raise lines.fault(str(error), place, "when") from None


def _sentences(form: PolicyForm, lines: Lines) -> dict[str, str]:
    found: dict[str, str] = {}
    for place, section in form.sections:
        if section.code in REASONS:
            what = f"code {section.code} is one of the scoring model's reasons; take another"
            raise lines.fault(what, place, "code")
        if found.setdefault(section.code, section.sentence) != section.sentence:
            what = f"code {section.code} has two sentences; give each sentence its own code"
            raise lines.fault(what, place, "sentence")
    return found
