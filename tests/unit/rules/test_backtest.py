"""Backtests: what changes, for whom, and what it is worth."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from quintet.rules.backtest import History, compare

DECISIONS = ("allow", "review", "block")
NAN = np.nan


def history(labels: list[float], worth: list[float]) -> History:
    ids = pa.chunked_array([[f"u{at}" for at in range(len(labels))]])
    return History(ids, np.array(labels, dtype=float), np.array(worth, dtype=float))


def test_moves_are_counted_by_label_with_their_worth_and_the_dearest_samples() -> None:
    found = compare(
        history([1, 0, NAN, 1, 0], [5, 7, 1, 2, 3]),
        DECISIONS,
        np.array([0, 0, 0, 0, 2]),
        np.array([2, 2, 0, 2, 0]),
        {"LARGE": 3},
        "block",
        3,
    )
    blocked, let_pass = found.moves
    assert (blocked.before, blocked.after, blocked.subjects) == ("allow", "block", 3)
    assert (blocked.confirmed, blocked.honest, blocked.unlabelled) == (2, 1, 0)
    assert (blocked.worth, blocked.worth_confirmed, blocked.worth_honest) == (14, 7, 7)
    assert blocked.samples == {"confirmed": ["u0", "u3"], "honest": ["u1"], "unlabelled": []}
    assert (let_pass.before, let_pass.after, let_pass.subjects) == ("block", "allow", 1)
    assert (found.saved, found.forgone) == (7, 7 - 3)
    assert (found.before, found.after) == (
        {"allow": 4, "review": 0, "block": 1},
        {"allow": 2, "review": 0, "block": 3},
    )


@pytest.mark.parametrize(("blocked", "needs"), [(5, False), (6, True)])
def test_more_than_a_twentieth_needs_a_confirmation(blocked: int, needs: bool) -> None:
    after = np.zeros(100, dtype=int)
    after[:blocked] = 2
    found = compare(history([NAN] * 100, [0.0] * 100), DECISIONS, np.zeros(100, dtype=int), after, {}, "block", blocked)
    assert found.needs_confirmation is needs


def test_without_subjects_there_is_nothing() -> None:
    found = compare(history([], []), DECISIONS, np.zeros(0, int), np.zeros(0, int), {}, "block", 0)
    assert (found.subjects, found.moves, found.blocked_share) == (0, [], 0.0)
