"""The form of a policy file, and the line of each fault in it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Code = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[A-Z][A-Z0-9_]*$")]
Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]

_SECTION = re.compile(r"\s*\[\[?\s*([a-z_]+)\s*\]?\]")
_SETTING = re.compile(r"\s*([a-z_]+)\s*=")
_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)")


class PolicyError(ValueError):
    """A policy file is invalid; the message names the line, the fault and the fix."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ReasonForm(_Section):
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


class PolicyForm(_Section):
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


@dataclass(frozen=True)
class Place:
    """A section of the file; `number` counts those of the same name."""

    section: str
    number: int = 0


@dataclass(frozen=True)
class Lines:
    """The line of each setting by its section, and of each section's head under ""; tomllib does not report them."""

    found: Mapping[Place, Mapping[str, int]]

    @classmethod
    def of(cls, text: str) -> Lines:
        """Find the lines in a file's text."""
        place = Place("")
        found: dict[Place, dict[str, int]] = {place: {"": 1}}
        for number, line in enumerate(text.splitlines(), start=1):
            if head := _SECTION.match(line):
                place = Place(head[1], sum(each.section == head[1] for each in found))
                found[place] = {"": number}
            elif setting := _SETTING.match(line):
                found[place].setdefault(setting[1], number)
        return cls(found)

    def line(self, place: Place, setting: str = "") -> int:
        """Return the line of a setting; of the section's head without the setting; 1 without the section."""
        lines = self.found.get(place, {"": 1})
        return lines.get(setting, lines[""])

    def fault(self, what: str, place: Place, setting: str = "") -> PolicyError:
        """Return the error for a fault at a place."""
        return PolicyError(f"line {self.line(place, setting)}: {what}")


def read_form(text: str) -> tuple[PolicyForm, Lines]:
    """Return the form of a file's text, and its lines. Raises PolicyError with the line of the first fault."""
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _AT_LINE.search(str(error))
        line = int(found[1]) if found else len(text.splitlines())
        raise PolicyError(f"line {line}: {_AT_LINE.sub('', str(error)).strip()}") from None
    lines = Lines.of(text)
    try:
        return PolicyForm.model_validate(given), lines
    except ValidationError as error:
        # a misspelt name also lacks the right one: the name is the fault to report
        _, _, fault = min((_fault(detail, lines) for detail in error.errors()), key=lambda each: each[:2])
        raise fault from None


_NAMES = {"extra_forbidden": 0, "missing": 1}
_FORMS: Mapping[str, type[_Section]] = {
    "score": ScoreForm,
    "no_history": NoHistoryForm,
    "unavailable": ReasonForm,
    "rule": RuleForm,
}
_REQUIREMENTS = {
    "approve_below": "a number, at least 0 and at most 1",
    "reject_from": "a number, at least 0 and at most 1",
    "approve_up_to": "a number, at least 0",
    "version": 'a text in quotes, like "2026-11-1"',
}


def _fault(detail: ErrorDetails, lines: Lines) -> tuple[int, int, PolicyError]:
    """Return a fault with its rank and line."""
    name, *rest = detail["loc"]
    number = rest.pop(0) if rest and isinstance(rest[0], int) else 0
    setting = str(rest[0]) if rest else ""
    is_top = not setting
    place = Place("") if is_top and name == "version" else Place(str(name), int(number))
    if is_top and place not in lines.found:
        place, setting = Place(""), str(name)
    elif is_top and name == "version":
        setting = "version"
    what = _of_section(detail, str(name)) if is_top else _of_setting(detail, str(name), setting)
    return _NAMES.get(detail["type"], 2), lines.line(place, setting), lines.fault(what, place, setting)


def _of_section(detail: ErrorDetails, name: str) -> str:
    """Return what is wrong with the section `name` itself, or with the version, and how to fix it."""
    if detail["type"] == "extra_forbidden":
        return f"there is no {name}; there are {', '.join(PolicyForm.model_fields)}"
    if name == "version":
        return f"version must be {_REQUIREMENTS['version']}"
    return "a rule begins with [[rule]]" if name == "rule" else f"the section [{name}] is missing"


def _of_setting(detail: ErrorDetails, name: str, setting: str) -> str:
    """Return what is wrong with a setting of the section `name`, and how to fix it."""
    kind, given = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        return f"[{name}] has no {setting}; there are {', '.join(_FORMS[name].model_fields)}"
    if kind == "missing":
        return f"[{name}] lacks {setting}"
    if kind == "string_pattern_mismatch":
        return f"code {_shown(given)} must have only capitals, digits and _, like OVERDUE_LOAN"
    if setting == "decision":
        return f"decision is {_shown(given)}; it must be refer or reject"
    return f"{setting} must be {_REQUIREMENTS.get(setting, 'a text in quotes')}"


def _shown(given: Any) -> str:
    return repr(given)[:80]
