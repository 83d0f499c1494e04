"""Opening cases: again and again the same, closed with their subject, and never over a verdict."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from quintet.cases import changes
from quintet.cases import store as case_store
from quintet.cases.changes import Author
from quintet.cases.kind import SAMPLE, CaseKind, Option, Sources, Subject
from quintet.cases.opening import Opened, open_from_build, open_from_service
from quintet.domains import open_state_store
from quintet.settings import Settings, load_settings
from quintet.state.store import StateStore

NOW = dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC)
FLAGGED: list[Subject] = []
RECORDED: list[Subject] = []


def _recorded(sources: Sources) -> tuple[Sequence[Subject], int]:
    return RECORDED[sources.position :], len(RECORDED)


KIND = CaseKind(
    "shop",
    "order",
    "order",
    (Option("good", "Good", "", "a"),),
    in_build=lambda *_: list(FLAGGED),
    exists="select unnest(['1', '2', '3', '4'])",
    in_service=_recorded,
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    FLAGGED.clear()
    RECORDED.clear()
    with closing(open_state_store(tmp_path)) as store:
        yield store


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings({})


@pytest.fixture
def build(store: StateStore, settings: Settings) -> Iterator[object]:
    with duckdb.connect() as marts:
        yield lambda at=NOW: open_from_build(store, KIND, marts, settings, at)


def subject(subject_id: str, priority: float = 1.0, **more: object) -> Subject:
    return Subject(subject_id, f"Order {subject_id}", "why", priority, **more)  # type: ignore[arg-type]


def states(store: StateStore) -> dict[str, tuple[str, str | None, str | None]]:
    return {
        name: (case.state, case.verdict, case.reason) for name, case in case_store.all_of_kind(store, *KIND.key).items()
    }


def decide(store: StateStore, subject_id: str, settings: Settings) -> None:
    case_id = case_store.case_id_of(*KIND.key, subject_id)
    changes.decide(store, {KIND.key: KIND}, [(case_id, 1)], "good", "", Author("Ana", NOW), settings)


def test_a_rebuild_neither_duplicates_nor_loses_a_case_or_its_verdict(store, build, settings) -> None:
    FLAGGED[:] = [subject(one) for one in "123"]
    assert build() == Opened(opened=3)
    decide(store, "1", settings)
    before = states(store)
    assert build() == Opened()
    assert states(store) == before
    assert before["1"][:2] == ("decided", "good")


def test_a_case_whose_subject_is_gone_is_closed_with_the_reason_and_a_decided_one_stays(store, build, settings) -> None:
    FLAGGED[:] = [subject("1"), subject("2"), subject("9")]
    build()
    decide(store, "1", settings)
    FLAGGED.clear()
    assert build() == Opened(closed=2)
    assert states(store) == {
        "1": ("decided", "good", None),
        "2": ("decided", "withdrawn", "it is no longer flagged"),
        "9": ("decided", "withdrawn", "the order was deleted"),
    }


def test_a_subject_that_comes_back_opens_its_case_again_with_its_history(store, build) -> None:
    FLAGGED[:] = [subject("1")]
    build()
    FLAGGED.clear()
    build()
    FLAGGED[:] = [subject("1")]
    assert build() == Opened(reopened=1)
    assert states(store) == {"1": ("open", None, None)}
    history = case_store.history(store, case_store.case_id_of(*KIND.key, "1"))
    assert [event.action for event in history] == ["opened", "withdrawn", "reopened"]


def test_a_new_priority_moves_an_open_case_and_is_no_change_of_it(store, build) -> None:
    FLAGGED[:] = [subject("1", 1.0), subject("2", 2.0)]
    build()
    FLAGGED[:] = [subject("1", 5.0), subject("2", 2.0)]
    build()
    listed = case_store.listed(store, case_store.CaseFilter([KIND.key]), NOW, 9)
    assert [(case.subject_id, case.priority, case.version) for case in listed] == [("1", 5.0, 1), ("2", 2.0, 1)]


def test_a_random_sample_stays_open_until_its_subject_is_deleted(store, build) -> None:
    FLAGGED[:] = [subject("1", origin=SAMPLE, share=0.1), subject("9", origin=SAMPLE, share=0.1)]
    build()
    FLAGGED.clear()
    assert build() == Opened(closed=1)
    assert states(store)["1"][0] == "open"


def test_what_the_service_recorded_is_opened_once_and_closed_when_it_is_over(store, build, settings) -> None:
    RECORDED[:] = [subject("7", origin="service"), subject("8", origin="service")]
    assert open_from_service(store, KIND, settings, NOW) == Opened(opened=2)
    assert open_from_service(store, KIND, settings, NOW) == Opened()
    assert build() == Opened(), "a build does not close what the service recorded"
    RECORDED.append(subject("7", origin="service", is_over=True))
    assert open_from_service(store, KIND, settings, NOW) == Opened(closed=1)
    assert states(store)["7"][:2] == ("decided", "withdrawn")


def test_opening_that_is_interrupted_goes_on_where_it_was(store, settings, monkeypatch) -> None:
    RECORDED[:] = [subject(str(one), origin="service") for one in range(5)]

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(case_store, "set_position", stopped)
        with pytest.raises(KeyboardInterrupt):
            open_from_service(store, KIND, settings, NOW)
    assert open_from_service(store, KIND, settings, NOW) == Opened()
    assert len(states(store)) == 5
    assert case_store.position(store, *KIND.key) == 5
