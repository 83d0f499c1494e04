"""Text of a report: what no font shows is written out."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from quintet.presentation.design import MISSING

_LONG_WORD = re.compile(r"\S{28}(?=\S)")
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn"}
_MARKS = frozenset("–—‘’“”„…•·×−±≤≥≠≈→←↑↓′″€£½¼¾∞√∑Δ" + MISSING)


def cut(text: str, most_letters: int) -> str:
    """Return the text, shortened to a number of letters."""
    return text if len(text) <= most_letters else f"{text[: most_letters - 1]}…"


def visible(text: str, *, keeps_lines: bool = False) -> str:
    """Write invisible characters out, replace those that no font has, and let long words break.

    A control character or a mark that changes the writing direction is shown as its code, so it cannot mislead.
    """
    if keeps_lines:
        return "".join(_drawn(letter) for letter in text.replace("\r\n", "\n"))
    shown = "".join(_drawn(letter) for letter in re.sub(r"[ \t\r\n]+", " ", text))
    return _LONG_WORD.sub("\\g<0>\u200b", shown)


@cache
def _drawn(letter: str) -> str:
    """Return the letter if the fonts have it, else the letter without marks, else its code."""
    if letter in "\n\t":
        return letter
    if unicodedata.category(letter) not in _UNSEEN and (ord(letter) < 0x250 or _has_glyph(letter)):
        return letter
    plain = "".join(part for part in unicodedata.normalize("NFKD", letter) if 0x20 <= ord(part) < 0x7F)
    return plain or f"<U+{ord(letter):04X}>"


def _has_glyph(letter: str) -> bool:
    return letter in _MARKS or unicodedata.name(letter, "").split(" ")[0] in {"LATIN", "GREEK", "CYRILLIC"}
