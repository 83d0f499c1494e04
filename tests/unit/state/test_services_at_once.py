"""Several services on one state store write the same at once: the first one wins, and each gets its result."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from quintet.cases import store as case_store
from quintet.cases.changes import Author, ConflictError, assign
from quintet.cases.kind import Subject
from quintet.domains import open_state_store
from quintet.payments.silences import Silence, end_silence, request_silence, silences
from quintet.promotions.feedback import ContradictionError, confirm
from quintet.promotions.store import Label, all_labels
from quintet.state.audit import Entry, last_entries, problem_of_chain, record
from quintet.state.keys import create_first_key
from quintet.state.secrets import secret_of
from quintet.state.store import StateStore
from tests.state_places import own_schema

NOW = dt.datetime(2026, 1, 1, 10, tzinfo=dt.UTC)
ROUNDS = 5


@pytest.fixture
def services(state_url: str, tmp_path: Path) -> Iterator[list[StateStore]]:
    """The state store as four services have it, each with connections of its own."""
    place = own_schema(state_url, tmp_path)
    stores = [open_state_store(place) for _ in range(4)]
    yield stores
    for store in stores:
        store.close()


def at_once(services: list[StateStore], act: Callable[[StateStore, int], Any]) -> list[Any]:
    """Return what each service gets, or the error that it raises, all acting in the same moment."""
    barrier = threading.Barrier(len(services))

    def run(number: int) -> Any:
        barrier.wait()
        try:
            return act(services[number], number)
        except (ContradictionError, ConflictError) as error:
            return error

    with ThreadPoolExecutor(len(services)) as pool:
        return list(pool.map(run, range(len(services))))


def test_the_same_label_is_recorded_once(services: list[StateStore]) -> None:
    for number in range(ROUNDS):
        label = Label(f"user {number}", True, NOW, "Ana")
        answers = at_once(services, lambda store, _, label=label: confirm(store, label, None, replace=False))
        assert [one.is_new for one in answers].count(True) == 1
    assert [one.user_id for one in all_labels(services[0])] == [f"user {number}" for number in range(ROUNDS)]


def test_of_opposite_labels_one_is_refused(services: list[StateStore]) -> None:
    for number in range(ROUNDS):

        def label(store: StateStore, which: int, number: int = number) -> Any:
            return confirm(store, Label(f"user {number}", which % 2 == 0, NOW, f"person {which}"), None, replace=False)

        answers = at_once(services, label)
        assert sum(isinstance(one, ContradictionError) for one in answers) == 2
    assert len(list(all_labels(services[0]))) == ROUNDS


def test_the_same_silence_begins_once_and_another_begins_as_well(services: list[StateStore]) -> None:
    def begin(store: StateStore, which: int) -> Any:
        starts = NOW + dt.timedelta(seconds=which)  # clocks are apart
        silence = Silence("denied", starts, starts + dt.timedelta(hours=1), "Ana", "maintenance")
        return request_silence(store, silence).silence_id

    assert len(set(at_once(services, begin))) == 1
    others = [("failed", "Ana", "maintenance", 1), ("denied", "Bob", "maintenance", 1), ("denied", "Ana", "again", 1)]
    for series, who, comment, hours in [*others, ("denied", "Ana", "maintenance", 2)]:
        request_silence(services[0], Silence(series, NOW, NOW + dt.timedelta(hours=hours), who, comment))
    assert len(silences(services[1], NOW + dt.timedelta(minutes=5))) == 1 + len(others) + 1


def test_a_silence_ends_once(services: list[StateStore]) -> None:
    silence = request_silence(services[0], Silence(None, NOW, NOW + dt.timedelta(hours=1), "Ana"))
    later = NOW + dt.timedelta(minutes=1)
    assert at_once(services, lambda store, _: end_silence(store, silence.silence_id, later)).count(True) == 1


def test_a_case_is_given_to_the_first_who_takes_it(services: list[StateStore]) -> None:
    for number in range(ROUNDS):
        with services[0].write() as connection:
            case_store.insert(connection, ("lending", "loan"), "client", [Subject(f"{number}", "", "", 1.0)], NOW)
        case = case_store.all_of_kind(services[0], "lending", "loan")[f"{number}"]

        def take(store: StateStore, which: int, case: Any = case) -> Any:
            return assign(store, case.case_id, case.version, f"person {which}", Author(f"person {which}", NOW))

        answers = at_once(services, take)
        assert sum(isinstance(one, ConflictError) for one in answers) == len(services) - 1
        owner = case_store.find(services[0].read(), case.case_id).owner  # type: ignore[union-attr]
        assert [one.owner for one in answers if not isinstance(one, ConflictError)] == [owner]


def test_the_audit_log_of_many_writers_is_whole(services: list[StateStore]) -> None:
    def write(store: StateStore, which: int) -> None:
        for number in range(10):
            record(store, Entry(NOW.isoformat(), f"service {which}", "", "test", str(number), "done"))

    at_once(services, write)
    assert problem_of_chain(services[0]) is None
    entries = last_entries(services[0], 100)
    assert sorted((one.actor, int(one.subject)) for one in entries) == [
        (f"service {which}", number) for which in range(4) for number in range(10)
    ]


def test_secrets_and_the_first_key_are_made_once(services: list[StateStore]) -> None:
    def make(store: StateStore, which: int) -> tuple[bytes, bool]:
        secret = secret_of(store, "page tokens", lambda size: bytes([which]) * size)
        return secret, create_first_key(store, NOW, lambda size: bytes([which]) * size) is not None

    made = at_once(services, make)
    assert len({secret for secret, _ in made}) == 1
    assert [is_first for _, is_first in made].count(True) == 1
