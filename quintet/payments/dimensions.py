"""Dimensions of payments, such as merchant and issuer: their names in the settings, and their values."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from hashlib import blake2s

MOST_DIMENSIONS = 8

MOST_VALUES = 1_000
"""The most values of a dimension that are kept apart; all further ones count as `OTHERS`."""

OTHERS = "All others"
"""The values beyond `MOST_VALUES`. Values are lower case, so none has this name."""

LONGEST_VALUE = 80
"""Characters of a value; a longer one is cut, and ends with a hash of all of it."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,29}")
_TAKEN = {
    *("minute_at", "timestamp", "time", "day", "status", "count", "transaction_id", "auth_code", "amount", "items"),
    *("series", "severity"),
}
_LONGEST_CACHED = 200
_HASH_BYTES = 4


def parse_dimensions(text: str) -> tuple[str, ...]:
    """Return the names of a text like `merchant, issuer`, in its order. Raises ValueError for names that cannot be."""
    names = tuple(text.replace(",", " ").split())
    for name in names:
        if not _NAME.fullmatch(name) or name in _TAKEN:
            raise ValueError(f"{name!r} cannot be the name of a dimension")
    if len(set(names)) != len(names) or len(names) > MOST_DIMENSIONS:
        raise ValueError(f"dimensions are at most {MOST_DIMENSIONS} different names")
    return names


def clean_value(text: str) -> str:
    """Return a value in the form in which it is compared and shown; empty if nothing of it can be seen.

    Case, blanks around and inside it, and characters without a shape (control, direction) do not count.
    """
    return _clean(text) if len(text) <= _LONGEST_CACHED else _clean.__wrapped__(text)


@lru_cache(maxsize=20_000)
def _clean(text: str) -> str:
    composed = unicodedata.normalize("NFC", text)
    visible = "".join(" " if unicodedata.category(mark)[0] == "C" else mark for mark in composed)
    value = " ".join(visible.lower().split())
    if len(value) <= LONGEST_VALUE:
        return value
    digest = blake2s(value.encode(), digest_size=_HASH_BYTES).hexdigest()
    return f"{value[: LONGEST_VALUE - len(digest) - 2]}… {digest}"
