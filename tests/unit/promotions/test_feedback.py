"""Labels from people: recorded once, refused if they contradict, replaced on demand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from quintet.domains import open_state_store
from quintet.promotions.feedback import ContradictionError, confirm, labels_in_snapshot
from quintet.promotions.store import Label, label_of, last_label
from quintet.state.store import StateStore

AT = dt.datetime(2026, 1, 1, 10, tzinfo=dt.UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    store = open_state_store(tmp_path / "online")
    yield store
    store.close()


def label(is_abuser: bool, by: str = "Ana") -> Label:
    return Label("u", is_abuser, AT, by)


def test_the_same_label_again_is_recorded_once(store: StateStore):
    first, second = (confirm(store, label(True), None, replace=False) for _ in range(2))

    assert (first.is_new, second.is_new) == (True, False)
    assert last_label(store) == 1


def test_a_label_that_agrees_with_the_file_is_recorded(store: StateStore):
    assert confirm(store, label(True), True, replace=False).is_new


@pytest.mark.parametrize(("of_file", "who"), [(True, "the users file"), (None, "Bob at 2026-01-01 10:00 UTC")])
def test_a_contradiction_is_refused_with_its_author_and_can_be_replaced(
    store: StateStore, of_file: bool | None, who: str
):
    if of_file is None:
        confirm(store, label(True, by="Bob"), None, replace=False)

    with pytest.raises(ContradictionError, match=f"labelled an abuser by {who}"):
        confirm(store, label(False), of_file, replace=False)
    assert confirm(store, label(False), of_file, replace=True).replaced
    assert label_of(store, "u") == label(False)


def test_a_label_from_a_person_overrules_the_file(store: StateStore):
    confirm(store, label(False), True, replace=True)

    assert not confirm(store, label(False), True, replace=False).is_new


def test_the_snapshot_has_the_number_of_its_last_label(tmp_path: Path):
    assert labels_in_snapshot(tmp_path) is None
    with duckdb.connect(str(tmp_path / "one.duckdb")) as connection:
        connection.execute("create schema marts")
    (tmp_path / "current.duckdb").symlink_to("one.duckdb")
    assert labels_in_snapshot(tmp_path) is None
    with duckdb.connect(str(tmp_path / "one.duckdb")) as connection:
        connection.execute("create table marts.ops_abuse_labels as select 7 as label_id")
    assert labels_in_snapshot(tmp_path) == 7
