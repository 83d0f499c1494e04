"""A letter as PDF: the same bytes for the same content, and no content is evaluated."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from quintet.presentation.letter import Letter, letter_pdf

LETTER = Letter(
    "A notice", ("Lender",), "Client 7", dt.date(2026, 3, 4), ("First.", "Second:"), ("One.", "Two."), "Then",
    ("Ask.",), "Write to us",
)  # fmt: skip


def test_the_same_letter_is_the_same_file_and_each_part_of_it_counts() -> None:
    whole = letter_pdf(LETTER)
    assert whole.startswith(b"%PDF-")
    assert whole == letter_pdf(LETTER)
    others = ({"title": "Another"}, {"sender": ()}, {"on": dt.date(2026, 3, 5)}, {"points": ("One.",)})
    assert len({whole, *(letter_pdf(replace(LETTER, **other)) for other in others)}) == 5


@pytest.mark.parametrize("text", ['#panic("evaluated")', "= *bold* $x$ @label <label>", "\u202e\x00 right to left"])
def test_a_text_that_looks_like_markup_is_printed_as_it_is(text: str) -> None:
    letter = Letter(text, (text,), text, LETTER.on, (text,), (text,), text, (text,), text)
    assert letter_pdf(letter).startswith(b"%PDF-")
