"""Names: how alike the names of two accounts are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import JaroWinkler

_KIN_FROM = 0.9
"""Spellings of one family name, such as Ivanov and Ivanova, are at least as similar."""


def full_name(first_name: str | None, last_name: str | None) -> str:
    """Return the known names in lower case."""
    return f"{first_name or ''} {last_name or ''}".lower().strip()


def family_name(name: str) -> str:
    """Return the last word of a name in lower case; "" if it has one word alone."""
    words = name.split()
    return words[-1] if len(words) > 1 else ""


def similarity(names: Sequence[str], others: Sequence[str]) -> np.ndarray:
    """Return from 0 to 1 how alike each name is to the other in its place."""
    return np.asarray(process.cpdist(names, others, scorer=JaroWinkler.similarity, dtype=np.float64))


def are_strangers(names: Sequence[str], others: Sequence[str]) -> np.ndarray:
    """Return 1 where the family names of two full names differ, 0 where they are alike, NaN where one is unknown."""
    one, other = [family_name(name) for name in names], [family_name(name) for name in others]
    is_known = np.array([bool(a and b) for a, b in zip(one, other, strict=True)], dtype=bool)
    return np.where(is_known, similarity(one, other) < _KIN_FROM, np.nan)
