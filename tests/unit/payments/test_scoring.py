"""The score of one minute: windows, rules and the start of a deviation."""

from __future__ import annotations

import numpy as np
import pytest

from quintet.payments.baseline import LONGEST_WINDOW, WINDOWS_MINUTES
from quintet.payments.scoring import FIRE_SCORES, Arrays, _minutes_of_run, windows_of

ROWS = 2 * LONGEST_WINDOW


def arrays(**changes: np.ndarray) -> Arrays:
    usual = {
        "approved": np.full(ROWS, 10.0),
        "events": np.column_stack([np.full(ROWS, 2.0), np.zeros(ROWS)]),
        "observed": np.ones(ROWS, dtype=bool),
        "volume": np.full(ROWS, 9.0),
        "low_volume": np.full(ROWS, 3.0),
        "rate": np.tile([0.2, 0.01], (ROWS, 1)),
    }
    return Arrays(**usual | changes)


def test_windows_sum_the_minutes_up_to_their_row() -> None:
    windows = windows_of(arrays(approved=np.arange(ROWS, dtype=float)), ROWS - 1)

    for place, minutes in enumerate(WINDOWS_MINUTES):
        assert windows.approved[place] == np.arange(ROWS - minutes, ROWS).sum()
        assert windows.events[place].tolist() == [2.0 * minutes, 0.0]
        assert windows.exposure[place] == windows.approved[place] + 2.0 * minutes
        assert windows.volume[place] == 9.0 * minutes


def test_each_minute_of_a_window_is_expected_by_its_own_rate_and_limit() -> None:
    rate, low_volume = np.tile([0.2, 0.01], (ROWS, 1)), np.full(ROWS, 3.0)
    rate[-1], low_volume[-1] = 0.1, 1.0
    windows = windows_of(arrays(rate=rate, low_volume=low_volume), ROWS - 1)

    for place, minutes in enumerate(WINDOWS_MINUTES):
        denied, other = 12.0 * (0.2 * (minutes - 1) + 0.1), 12.0 * (0.01 * (minutes - 1) + 0.1)
        assert windows.expected[place] == pytest.approx(np.array([denied, other]) * windows.quiet_factor)
        assert windows.low_volume[place] == 3.0 * (minutes - 1) + 1.0


def test_a_minute_without_rows_expects_nothing() -> None:
    observed = np.ones(ROWS, dtype=bool)
    observed[-2] = False

    assert windows_of(arrays(observed=observed), ROWS - 1).volume[-1] == 9.0 * (WINDOWS_MINUTES[-1] - 1)


def test_a_longer_window_has_fewer_chances_and_a_lower_limit() -> None:
    assert FIRE_SCORES[0] == 6.0
    assert (np.diff(FIRE_SCORES) < 0).all()
    assert pytest.approx(6.0 - np.log10(WINDOWS_MINUTES)) == FIRE_SCORES


@pytest.mark.parametrize(
    ("excess", "minutes"), [([0, 0, 5], 1), ([0, 4, 5], 2), ([-1, 4, -2, 5], 3), ([-9, -9, -9], 1), ([3, -5, 4], 1)]
)
def test_a_run_is_the_last_minutes_that_add_up_to_most(excess: list[float], minutes: int) -> None:
    assert _minutes_of_run(np.array(excess, dtype=float)) == minutes
