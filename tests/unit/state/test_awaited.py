"""Waiting for the database of the state store."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from quintet.state.awaited import once_it_answers
from quintet.state.faults import StateAwayError, StateError, StateUnavailableError
from quintet.state.store import StateStore
from quintet.state_place import StatePlace


class Server:
    """A database that raises `faults`, one at each attempt, and then answers; time passes only while it is awaited."""

    def __init__(self, *faults: Exception) -> None:
        self.faults, self.now, self.attempts = list(faults), 0.0, 0

    def open(self) -> str:
        self.attempts += 1
        if self.faults:
            raise self.faults.pop(0)
        return "opened"

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def awaited(self, longest: float = 60.0) -> str:
        return once_it_answers(self.open, longest, lambda: self.now, self.wait)


def test_it_returns_once_the_database_answers_and_names_each_reason_once() -> None:
    away = [StateAwayError("starting"), StateAwayError("starting"), *[StateUnavailableError("refused")] * 2]
    server = Server(*away)
    with capture_logs() as logged:
        assert server.awaited() == "opened"
    assert (server.attempts, [line["reason"] for line in logged]) == (5, ["starting", "refused"])


def test_it_gives_up_after_a_while() -> None:
    server = Server(*[StateAwayError("away")] * 1_000)
    with pytest.raises(StateAwayError, match="away"):
        server.awaited(longest=10.0)
    assert 10.0 <= server.now < 11.0


def test_it_waits_for_nothing_else() -> None:
    server = Server(StateError("of a newer release"))
    with pytest.raises(StateError, match="of a newer release"):
        server.awaited()
    assert server.now == 0.0


def test_a_server_that_does_not_answer_is_one_to_wait_for(tmp_path: Path) -> None:
    place = StatePlace(tmp_path, "postgresql://quintet:word@127.0.0.1:1/state")
    with pytest.raises(StateAwayError):
        once_it_answers(lambda: StateStore(place), 0.0)
    once_it_answers(lambda: StateStore(tmp_path)).close()
