"""Scales of lines and dots, which may begin above zero, and then say so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import altair as alt
import pandas as pd


def starts_at_zero(values: Iterable[float]) -> bool:
    """Return whether a scale of these values starts at zero: unless all of them are in the upper half of it."""
    known = pd.Series(list(values), dtype="float64").dropna()
    return known.empty or bool(known.min() <= known.max() / 2)


def line_scale(values: Iterable[float], what: str = "scale", **options: Any) -> tuple[alt.Scale, str]:
    """Return a scale of these values, and the note that readers need: that it does not start at zero, or nothing.

    what: what the note calls it. options: further ones of the scale.
    """
    is_whole = starts_at_zero(values)
    return alt.Scale(zero=is_whole, nice=True, **options), "" if is_whole else f"The {what} does not start at zero."
