"""What is usual at a minute because of earlier days."""

from __future__ import annotations

import numpy as np
import pytest

from quintet.payments.volume_history import MINUTES_PER_DAY, QUARTERS_PER_DAY, VolumeHistory

DAY = 19_005


def history(by_day_back: dict[int, float], hidden: tuple[int, ...] = ()) -> VolumeHistory:
    """Return days with these volumes; an incident hides 10:00 to 11:00 of those in `hidden`."""
    made = VolumeHistory()
    for days, volume in by_day_back.items():
        for quarter in range(QUARTERS_PER_DAY):
            if not (days in hidden and 40 <= quarter < 44):
                made.set_quarter((DAY - days) * QUARTERS_PER_DAY + quarter, volume)
    return made


def usual(made: VolumeHistory, hour: float) -> float | None:
    return made.usual(DAY * MINUTES_PER_DAY + int(60 * hour))


def test_nothing_is_usual_without_history() -> None:
    assert usual(history({}), 10.5) is None


def test_a_weekday_known_once_lowers_what_is_usual_and_never_raises_it() -> None:
    assert usual(history({1: 100, 2: 100, 3: 100, 7: 25}), 10.5) == 25
    assert usual(history({1: 25, 2: 25, 3: 25, 7: 100}), 10.5) == 25


@pytest.mark.parametrize(
    ("by_day_back", "hidden"),
    [
        ({1: 100, 2: 100, 3: 100, 7: 25}, (7,)),
        ({1: 100, 2: 100, 3: 100, 7: 25, 14: 25}, (7,)),
        ({1: 100, 2: 100, 3: 100, 7: 25, 14: 25}, (7, 14)),
        ({1: 25, 2: 25, 3: 100, 7: 100, 14: 100}, (7,)),
        ({1: 25, 2: 25, 3: 100, 7: 100, 14: 100}, (14,)),
    ],
)
def test_an_incident_of_weeks_ago_makes_no_step(by_day_back: dict[int, float], hidden: tuple[int, ...]) -> None:
    made = history(by_day_back, hidden)
    by_minute = np.array([usual(made, hour) for hour in np.arange(9, 12, 0.05)])

    assert by_minute == pytest.approx(np.full(len(by_minute), by_day_back[7]), rel=0.01)


def test_a_day_that_is_unknown_as_a_whole_hides_nothing() -> None:
    assert usual(history({1: 100, 2: 100, 3: 100, 14: 200}), 10.5) == 100
    assert history({1: 100}).has_day_of((DAY - 1) * QUARTERS_PER_DAY)
    assert not history({1: 100}).has_day_of(DAY * QUARTERS_PER_DAY)


def test_clearing_forgets_quarters_and_no_others() -> None:
    made = history({1: 100})
    first = (DAY - 1) * QUARTERS_PER_DAY
    made.clear(first + 4, first + 8)

    known = [np.isfinite(made.of_quarter(first + quarter)) for quarter in range(12)]
    assert known == [True] * 4 + [False] * 4 + [True] * 4
