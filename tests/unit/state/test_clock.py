"""The time that services share."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from quintet.state.clock import SharedClock, clock_of, machine_clock
from quintet.state.faults import StateUnavailableError
from quintet.state_place import StatePlace
from tests.state_places import own_schema

TRUE = dt.datetime(2026, 1, 1, 10, tzinfo=dt.UTC)


class World:
    """A machine whose clock is off, and a database that answers after `takes` seconds."""

    def __init__(self, off_seconds: float) -> None:
        self.passed, self.off, self.takes, self.is_away = 0.0, dt.timedelta(seconds=off_seconds), 0.0, False
        self.clock = SharedClock(self.ask, lambda: self.true + self.off, lambda: self.passed)

    @property
    def true(self) -> dt.datetime:
        return TRUE + dt.timedelta(seconds=self.passed)

    def ask(self) -> dt.datetime:
        if self.is_away:
            raise StateUnavailableError("away")
        self.passed += self.takes / 2
        found = self.true
        self.passed += self.takes / 2
        return found


@pytest.mark.parametrize("off", [-600.0, 0.0, 0.3, 600.0])
def test_the_time_is_that_of_the_database_whatever_the_machine_says(off: float) -> None:
    world = World(off)
    world.takes = 0.2
    with capture_logs() as logged:
        world.clock.synchronise()
        world.passed += 20.0
        assert world.clock() == world.true
        world.clock.synchronise()
    assert len(logged) == (abs(off) > 5), "it is said once"


def test_before_the_first_answer_it_is_the_time_of_the_machine_and_later_it_counts_on() -> None:
    world = World(60.0)
    assert world.clock() == world.true + world.off
    world.clock.synchronise()
    world.is_away = True
    world.passed += 3_600.0
    with pytest.raises(StateUnavailableError):
        world.clock.synchronise()
    world.off = dt.timedelta(days=1)
    assert world.clock() == world.true, "also if the clock of the machine jumps"


def test_a_slow_answer_changes_nothing_but_the_first() -> None:
    world = World(0.0)
    world.takes = 4.0
    world.clock.synchronise()
    assert world.clock() == world.true
    asked = world.ask

    def ask_in_vain() -> dt.datetime:
        return asked() + dt.timedelta(minutes=1)

    world.clock._ask = ask_in_vain
    world.clock.synchronise()
    assert world.clock() == world.true
    world.takes = 0.1
    world.clock.synchronise()
    assert world.clock() == world.true + dt.timedelta(minutes=1), "the twin"


def test_a_file_has_the_clock_of_its_machine_and_a_database_its_own(state_url: str, tmp_path: Path) -> None:
    assert clock_of(StatePlace(tmp_path)) is machine_clock
    clock = clock_of(own_schema(state_url, tmp_path))
    assert isinstance(clock, SharedClock)
    assert abs(clock() - machine_clock()) < dt.timedelta(minutes=1), "both are on this machine"
