"""What the form of a case chooses."""

from __future__ import annotations

import pytest

from quintet.cases.kind import Choice
from quintet.web.pages.cases import as_offered

OFFERED = [
    Choice("count", "count is in", ["Number\nof  pieces", "sum"]),
    Choice("line=P.\r\nL.", "means", ["CL", "PL"]),
]


@pytest.mark.parametrize(
    ("posted", "chosen"),
    [
        ([("count", "Number\r\nof  pieces")], {"count": "Number\nof  pieces"}),
        ([("line=P.\r\nL.", "PL")], {"line=P.\r\nL.": "PL"}),
        ([("line=P.\nL.", "PL")], {"line=P.\r\nL.": "PL"}),
        ([("count", ""), ("other", "x")], {"other": "x"}),
        ([("count", "Number of pieces")], {"count": "Number of pieces"}),
    ],
)
def test_a_title_with_a_line_break_is_chosen_as_it_was_offered(
    posted: list[tuple[str, str]], chosen: dict[str, str]
) -> None:
    assert as_offered(OFFERED, posted) == chosen
