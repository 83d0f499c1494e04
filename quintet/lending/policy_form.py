"""The form of a policy file of lending."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from quintet.rules.faults import Code, Described, Section, Text, validated
from quintet.rules.lines import FormError as PolicyError
from quintet.rules.lines import Lines, Place

__all__ = ["Lines", "Place", "PolicyError", "PolicyForm", "read_form"]

Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]


class ReasonForm(Section):
    """A reason: its code, and the sentence that clients read."""

    code: Code
    sentence: Text


class ScoreForm(ReasonForm):
    """The section [score]: the limits of the probability of default."""

    approve_below: Share
    reject_from: Share


class NoHistoryForm(ReasonForm):
    """The section [no_history]: clients whose score has no meaning."""

    when: Text
    approve_up_to: Amount


class RuleForm(ReasonForm):
    """A section [[rule]]: a decision where all conditions hold."""

    when: Text
    decision: Literal["refer", "reject"]


class PolicyForm(Section):
    """A whole file."""

    version: Text
    score: ScoreForm
    no_history: NoHistoryForm
    unavailable: ReasonForm
    rule: list[RuleForm] = Field(default_factory=list)

    @property
    def sections(self) -> list[tuple[Place, ReasonForm]]:
        """Every section with its place, in the order of reading."""
        single = [(Place(name), getattr(self, name)) for name in ("score", "no_history", "unavailable")]
        return [*single, *((Place("rule", number), rule) for number, rule in enumerate(self.rule))]


_DESCRIBED = Described(
    sections={"score": ScoreForm, "no_history": NoHistoryForm, "unavailable": ReasonForm, "rule": RuleForm},
    requirements={
        "approve_below": "a number, at least 0 and at most 1",
        "reject_from": "a number, at least 0 and at most 1",
        "approve_up_to": "a number, at least 0",
        "version": 'a text in quotes, like "2026-11-1"',
    },
)


def read_form(text: str) -> tuple[PolicyForm, Lines]:
    """Return the form of a file's text, and its lines. Raises PolicyError with the line of the first fault."""
    return validated(PolicyForm, text, _DESCRIBED)
