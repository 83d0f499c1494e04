"""Figures of payments in documents and on the page: each is the figure of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from quintet.payments import live
from quintet.payments.baseline import WINDOWS_MINUTES
from quintet.payments.detector import LATENESS_MINUTES
from quintet.payments.incidents import _QUIET_MINUTES_TO_RESOLVE, REPEAT_AFTER
from quintet.payments.monitor import AHEAD
from quintet.payments.scoring import _BAND_STANDARD_DEVIATIONS, FIRE_SCORES
from quintet.web.routes.payments_models import MOST_ITEMS

PROJECT = Path(__file__).parents[3]
DOCUMENT, PAGE = PROJECT / "docs/payments.md", PROJECT / "quintet/web/templates/payments.html"
WORDS = {3: "three", 4: "four", 10: "ten", 15: "fifteen"}


def in_words(number: float) -> str:
    return WORDS.get(int(number), f"{number:g}")


CLAIMS = {
    "most items": (DOCUMENT, "up to {:,} of them", MOST_ITEMS),
    "refused above": (DOCUMENT, "more than {:,} items", MOST_ITEMS),
    "lateness": (DOCUMENT, "counts up to {} minutes late", LATENESS_MINUTES),
    "grace": (DOCUMENT, "({} s of grace)", int(AHEAD.total_seconds())),
    "repeats": (DOCUMENT, "again every {0!s} hours until", REPEAT_AFTER.total_seconds() / 3_600),
    "health": (DOCUMENT, "waited for {} an hour", live._OUTBOX_MAY_WAIT.total_seconds() / 3_600),
    "score": (PAGE, "{:g} is one in a million", float(FIRE_SCORES[0])),
    "band": (PAGE, "the band {0!s} standard deviations", _BAND_STANDARD_DEVIATIONS),
    "resolved": (PAGE, "It ends after {0!s} normal minutes", _QUIET_MINUTES_TO_RESOLVE),
    "notified": (PAGE, "every {0!s} hours until", REPEAT_AFTER.total_seconds() / 3_600),
}


def said(pattern: str, number: float) -> str:
    """Return the claim with a number, in words where the pattern wants a word."""
    if "{0!s}" in pattern:
        return pattern.format(in_words(number))
    if number == 0.5:
        return pattern.format("half")
    return pattern.format(number)


@pytest.mark.parametrize("what", CLAIMS)
def test_a_document_states_the_figure_of_the_code(what: str) -> None:
    path, pattern, number = CLAIMS[what]
    text = " ".join(path.read_text("utf-8").split())

    assert said(pattern, number) in text
    assert said(pattern, number + 1) not in text


def test_the_windows_on_the_page_are_those_of_the_detector() -> None:
    *first, last = (f"{minutes:g}" for minutes in WINDOWS_MINUTES)

    assert f"in the last {', '.join(first)} or {last} minutes" in PAGE.read_text("utf-8")
