"""Changes of cases: idempotent, never over another's change, and a verdict acts in the transaction that records it."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from quintet.cases import changes
from quintet.cases import store as case_store
from quintet.cases.changes import Author, ConflictError, UnknownCaseError
from quintet.cases.kind import CaseKind, Decided, Option, Subject, UnusableVerdictError
from quintet.domains import open_state_store
from quintet.settings import Settings, load_settings
from quintet.state.store import StateStore

NOW = dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC)
ANA, BEN = Author("Ana", NOW), Author("Ben", NOW + dt.timedelta(minutes=5))
ACTED: list[Decided] = []


def _act(connection: sqlite3.Connection, given: Decided) -> None:
    if given.reason == "refused":
        raise UnusableVerdictError("the act refuses it")
    connection.execute(
        "insert into secrets (name, value) values (?, ?)", (f"acted {given.case_id} {given.version}", b"")
    )
    ACTED.append(given)


KIND = CaseKind(
    "shop",
    "order",
    "order",
    (Option("good", "Good", "", "a"), Option("bad", "Bad", "", "r", needs_reason=True)),
    act=_act,
    person_kind="buyer",
)
KINDS = {KIND.key: KIND}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    ACTED.clear()
    with closing(open_state_store(tmp_path)) as store:
        yield store


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings({})


def opened(store: StateStore, *subjects: str, group: str | None = None) -> list[str]:
    given = [Subject(one, f"Order {one}", "why", 10.0, group_id=group, person_id="b1") for one in subjects]
    with store.write() as connection:
        assert case_store.insert(connection, KIND.key, KIND.person_kind, given, NOW) == len(subjects)
    return [case_store.case_id_of(*KIND.key, one) for one in subjects]


def found(store: StateStore, case_id: str) -> case_store.Case:
    case = case_store.find(store.read(), case_id)
    assert case is not None
    return case


def actions(store: StateStore, case_id: str) -> list[str]:
    return [event.action for event in case_store.history(store, case_id)]


def test_the_second_of_two_people_learns_who_was_first_and_nothing_is_lost(
    store: StateStore, settings: Settings
) -> None:
    (case_id,) = opened(store, "1")
    changes.decide(store, KINDS, [(case_id, 1)], "good", "", ANA, settings)
    with pytest.raises(ConflictError, match=r"Ana was first.*2026-03-04 12:00 UTC.*verdict good.*version 1.*version 2"):
        changes.decide(store, KINDS, [(case_id, 1)], "bad", "late", BEN, settings)
    with pytest.raises(ConflictError, match="closed since"):
        changes.assign(store, case_id, 1, "Ben", BEN)
    changes.note(store, case_id, "I disagree", BEN)  # a note is never refused
    assert found(store, case_id).verdict == "good"
    assert actions(store, case_id) == ["opened", "decided", "noted"]
    assert [one.verdict for one in ACTED] == ["good"]


def test_another_verdict_on_the_version_that_the_person_saw_replaces_the_first(
    store: StateStore, settings: Settings
) -> None:
    (case_id,) = opened(store, "1")
    (first,) = changes.decide(store, KINDS, [(case_id, 1)], "good", "", ANA, settings)
    (second,) = changes.decide(store, KINDS, [(case_id, first.version)], "bad", "broken", BEN, settings)
    assert (second.verdict, second.reason, second.owner) == ("bad", "broken", "Ana")
    assert [(one.verdict, one.before) for one in ACTED] == [("good", None), ("bad", "good")]


def test_a_change_that_is_sent_again_is_done_once(store: StateStore, settings: Settings) -> None:
    (case_id,) = opened(store, "1")
    keyed = replace(ANA, request_key="k1")
    for _ in range(2):
        changes.note(store, case_id, "once", keyed)
        changes.assign(store, case_id, 2, "Ana", replace(ANA, request_key="k2"))
        changes.decide(store, KINDS, [(case_id, 3)], "good", "", replace(ANA, request_key="k3"), settings)
    assert actions(store, case_id) == ["opened", "noted", "assigned", "decided"]
    assert len(ACTED) == 1
    with pytest.raises(ConflictError, match="belongs to another change"):
        changes.note(store, case_id, "another text", keyed)


def test_without_a_key_the_same_owner_and_the_same_verdict_change_nothing(
    store: StateStore, settings: Settings
) -> None:
    (case_id,) = opened(store, "1")
    for _ in range(2):
        changes.assign(store, case_id, 1, "Ana", ANA)
    until = NOW + dt.timedelta(days=1)
    for _ in range(2):
        changes.snooze(store, case_id, 2, until, ANA)
    for _ in range(2):
        changes.decide(store, KINDS, [(case_id, 3)], "good", "", ANA, settings)
    assert actions(store, case_id) == ["opened", "assigned", "snoozed", "decided"]


def test_a_bulk_verdict_is_given_to_all_or_to_none(store: StateStore, settings: Settings) -> None:
    ids = opened(store, "1", "2", "3", group="g")
    changes.assign(store, ids[2], 1, "Ben", BEN)
    with pytest.raises(ConflictError, match="Ben was first"):
        changes.decide(store, KINDS, [(one, 1) for one in ids], "good", "", ANA, settings)
    assert [found(store, one).state for one in ids] == ["open", "open", "assigned"]
    changes.decide(store, KINDS, [(ids[0], 1), (ids[1], 1), (ids[2], 2)], "good", "", ANA, settings)
    assert {found(store, one).verdict for one in ids} == {"good"}


def test_a_verdict_whose_act_fails_is_not_recorded(store: StateStore, settings: Settings) -> None:
    (case_id,) = opened(store, "1")
    with pytest.raises(UnusableVerdictError, match="the act refuses it"):
        changes.decide(store, KINDS, [(case_id, 1)], "good", "refused", ANA, settings)
    assert not found(store, case_id).is_decided
    assert actions(store, case_id) == ["opened"]
    assert store.read().execute("select 1 from secrets where name like 'acted%'").fetchone() is None


@pytest.mark.parametrize(
    ("verdict", "reason", "what"),
    [("unheard of", "", r"has good, bad"), ("bad", "", "needs a reason")],
)
def test_a_verdict_that_cannot_be_used_says_why(
    store: StateStore, settings: Settings, verdict: str, reason: str, what: str
) -> None:
    (case_id,) = opened(store, "1")
    with pytest.raises(UnusableVerdictError, match=what):
        changes.decide(store, KINDS, [(case_id, 1)], verdict, reason, ANA, settings)
    assert changes.decide(store, KINDS, [(case_id, 1)], "bad", "why", ANA, settings)[0].verdict == "bad"


def test_a_snoozed_case_waits_again_once_its_time_is_over(store: StateStore) -> None:
    (case_id,) = opened(store, "1")
    changes.snooze(store, case_id, 1, NOW + dt.timedelta(days=1), ANA)
    chosen = case_store.CaseFilter([KIND.key])
    assert case_store.listed(store, chosen, NOW + dt.timedelta(hours=23), 9) == []
    assert len(case_store.listed(store, chosen, NOW + dt.timedelta(hours=25), 9)) == 1
    for until in (NOW, NOW + dt.timedelta(days=400)):
        with pytest.raises(ConflictError, match="must be in the future, and within 365 days"):
            changes.snooze(store, case_id, 2, until, ANA)


def test_a_case_that_does_not_exist_is_an_error(store: StateStore) -> None:
    with pytest.raises(UnknownCaseError, match="there is no case"):
        changes.note(store, "0" * 16, "text", ANA)


def test_an_erased_person_leaves_a_closed_case_without_a_trace(store: StateStore, settings: Settings) -> None:
    first, other = opened(store, "b1", "9")
    changes.note(store, first, "b1 is my neighbour", ANA)
    with store.write() as connection:
        assert case_store.erase_person(connection, "buyer", "b1", "forgotten-1", BEN.at) == 2
    assert case_store.find(store.read(), first) is None
    left = case_store.listed(store, case_store.CaseFilter([KIND.key], state="decided"), NOW, 9)
    assert {case.reason for case in left} == {"the data of this buyer was erased"}
    assert other not in {case.case_id for case in left}
    everything = [
        *store.read().execute("select * from cases").fetchall(),
        *store.read().execute("select * from case_events").fetchall(),
    ]
    assert not [value for row in everything for value in row if "b1" in str(value) or "neighbour" in str(value)]
    with pytest.raises(ConflictError, match="was erased"):
        changes.decide(store, KINDS, [(left[0].case_id, left[0].version)], "good", "", ANA, settings)
