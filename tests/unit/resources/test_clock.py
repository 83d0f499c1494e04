"""The clock speaks UTC without zone."""

import datetime as dt

from resources.clock import Clock


def test_a_fixed_moment_is_turned_to_utc() -> None:
    assert Clock(at="2026-01-01T02:00:00+02:00").now() == dt.datetime(2026, 1, 1)


def test_the_machines_clock_moves_on() -> None:
    clock = Clock()
    assert clock.now() <= clock.now()
    assert clock.now().tzinfo is None
