"""What a business declares about itself."""

from __future__ import annotations

from quintet.domain import Card


def test_a_share_is_compared_with_the_period_before() -> None:
    card = Card.of_shares("Rows matched", [(2, 1, 4, "d"), (1, 2, 4, "d"), (0, 3, 4, "d")], 7, better=True)
    assert (card.label, card.value, card.change, card.better) == ("Rows matched, last 7 days", 0.75, 0.25, True)
    assert list(card.trend) == [0.25, 0.5, 0.75]
    assert card.basis == "3 of 4, to d"


def test_a_period_without_cases_is_a_gap_and_no_comparison() -> None:
    card = Card.of_shares("Rows matched", [(2, 1, 4, "d"), (0, 3, 4, "d")], 7)
    assert card.change is None
    assert list(card.trend) == [0.25, None, 0.75]
