"""The line of each setting in a TOML file, so that a fault names it; tomllib does not report them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SECTION = re.compile(r"\s*\[\[?\s*([a-z_]+)\s*\]?\]")
_SETTING = re.compile(r"\s*([a-z_]+)\s*=")
_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)")


class FormError(ValueError):
    """A file of rules or a policy is invalid; the message names the line, the fault and the fix."""


@dataclass(frozen=True)
class Place:
    """A section of the file; `number` counts those of the same name."""

    section: str
    number: int = 0


@dataclass(frozen=True)
class Lines:
    """The line of each setting by its section, and of each section's head under ""."""

    found: Mapping[Place, Mapping[str, int]]

    @classmethod
    def of(cls, text: str) -> Lines:
        """Find the lines in a file's text."""
        place = Place("")
        found: dict[Place, dict[str, int]] = {place: {"": 1}}
        counts: dict[str, int] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            if head := _SECTION.match(line):
                place = Place(head[1], counts.get(head[1], 0))
                counts[head[1]] = place.number + 1
                found[place] = {"": number}
            elif setting := _SETTING.match(line):
                found[place].setdefault(setting[1], number)
        return cls(found)

    def line(self, place: Place, setting: str = "") -> int:
        """Return the line of a setting; of the section's head without the setting; 1 without the section."""
        lines = self.found.get(place, {"": 1})
        return lines.get(setting, lines[""])

    def fault(self, what: str, place: Place, setting: str = "") -> FormError:
        """Return the error for a fault at a place."""
        return FormError(f"line {self.line(place, setting)}: {what}")


def read_toml(text: str) -> tuple[dict[str, Any], Lines]:
    """Return the content of a TOML text, and its lines. Raises FormError with the line of a syntax error."""
    try:
        return tomllib.loads(text), Lines.of(text)
    except tomllib.TOMLDecodeError as error:
        found = _AT_LINE.search(str(error))
        line = int(found[1]) if found else len(text.splitlines())
        raise FormError(f"line {line}: {_AT_LINE.sub('', str(error)).strip()}") from None
