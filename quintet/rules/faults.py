"""Validate a TOML text against a form, and describe its first fault with its line and the fix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from quintet.rules.lines import FormError, Lines, Place, read_toml

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Code = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[A-Z][A-Z0-9_]*$")]


class Section(BaseModel):
    """A section of a file, or the file: unknown settings and other types are faults."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


Form = TypeVar("Form", bound=Section)

_RANKS = {"extra_forbidden": 0, "missing": 1}  # a misspelt name also lacks the right one: report the name


@dataclass(frozen=True)
class Described:
    """How faults of a form are described.

    sections: the form of each section by name. repeated: the names of the sections that may occur several times.
    requirements: by setting, what it must be; a text in quotes without one. example: a valid code.
    """

    sections: Mapping[str, type[Section]]
    repeated: tuple[str, ...] = ("rule",)
    requirements: Mapping[str, str] = field(default_factory=dict)
    example: str = "OVERDUE_LOAN"


def validated(form: type[Form], text: str, described: Described) -> tuple[Form, Lines]:
    """Return the form of a file's text, and its lines. Raises FormError with the line of the first fault."""
    given, lines = read_toml(text)
    try:
        return form.model_validate(given), lines
    except ValidationError as error:
        faults = [_fault(detail, form, lines, described) for detail in error.errors()]
        _, _, fault = min(faults, key=lambda each: each[:2])
        raise fault from None


def _fault(detail: ErrorDetails, form: type[Section], lines: Lines, described: Described) -> tuple[int, int, FormError]:
    """Return a fault with its rank and line."""
    name, *rest = detail["loc"]
    number = rest.pop(0) if rest and isinstance(rest[0], int) else 0
    setting = str(rest[0]) if rest else ""
    is_top, is_value = not setting, str(name) in form.model_fields and str(name) not in described.sections
    place = Place("") if is_top and is_value else Place(str(name), int(number))
    if is_top and place not in lines.found:
        place, setting = Place(""), str(name)
    elif is_top and is_value:
        setting = str(name)
    what = (
        _of_section(detail, str(name), form, described)
        if is_top
        else _of_setting(detail, str(name), setting, described)
    )
    return _RANKS.get(detail["type"], 2), lines.line(place, setting), lines.fault(what, place, setting)


def _of_section(detail: ErrorDetails, name: str, form: type[Section], described: Described) -> str:
    """Return what is wrong with the section `name` itself, or with a setting outside all, and how to fix it."""
    if detail["type"] == "extra_forbidden":
        return f"there is no {name}; there are {', '.join(form.model_fields)}"
    if name not in described.sections:
        return f"{name} must be {described.requirements.get(name, 'a text in quotes')}"
    return f"a {name} begins with [[{name}]]" if name in described.repeated else f"the section [{name}] is missing"


def _of_setting(detail: ErrorDetails, name: str, setting: str, described: Described) -> str:
    """Return what is wrong with a setting of the section `name`, and how to fix it."""
    kind, given = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        return f"[{name}] has no {setting}; there are {', '.join(described.sections[name].model_fields)}"
    if kind == "missing":
        return f"[{name}] lacks {setting}"
    if kind == "string_pattern_mismatch":
        return f"{setting} {shown(given)} must have only capitals, digits and _, like {described.example}"
    if kind == "literal_error":
        expected = str(detail["ctx"]["expected"]).replace("'", "")
        return f"{setting} is {shown(given)}; it must be {expected}"
    return f"{setting} must be {described.requirements.get(setting, 'a text in quotes')}"


def shown(given: Any) -> str:
    """Return a given value for a message, cut where it is long."""
    return repr(given)[:80]
