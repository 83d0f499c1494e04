"""The values that explain an incident, in words and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from quintet.payments.incidents import VOLUME


class Explained(NamedTuple):
    """A value that explains a part of an incident.

    observed, expected: its counts in the window of the incident's worst point, without those of values named before.
    share: of the incident's excess (volume: of what is missing), 0 to 1. p_value: the probability of a count this far
    from what it would be if the value were affected as all others are, times the number of values compared.
    """

    dimension: str
    value: str
    observed: int
    expected: float
    share: float
    p_value: float

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**self._asdict(), "expected": round(self.expected, 4), "share": round(self.share, 4)}


def in_words(explained: Iterable[Explained], series: str) -> str:
    """Return the values with their shares in a sentence; empty without any."""
    parts = [f"{one.dimension.replace('_', ' ')} {one.value} ({one.share:.0%})" for one in explained]
    what = "what is missing" if series == VOLUME else "the excess"
    return f"Where, with the share of {what}: {', '.join(parts)}." if parts else ""
