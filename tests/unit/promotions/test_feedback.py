"""Labels from people: recorded once, refused if they contradict, replaced on demand."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import pytest

from quintet.promotions.feedback import ContradictionError, confirm, count_new_labels
from quintet.promotions.store import Label, all_labels, label_of, record_label
from quintet.state.store import StateStore

AT = dt.datetime(2026, 1, 1, 10, tzinfo=dt.UTC)


def label(is_abuser: bool, by: str = "Ana") -> Label:
    return Label("u", is_abuser, AT, by)


def test_the_same_label_again_is_recorded_once(store: StateStore):
    first, second = (confirm(store, label(True), None, replace=False) for _ in range(2))

    assert (first.is_new, second.is_new) == (True, False)
    assert len(list(all_labels(store))) == 1


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


def publish(serving: Path, *labels: tuple[int, Label]) -> None:
    """Write a snapshot with these labels under these numbers."""
    serving.mkdir(exist_ok=True)
    with duckdb.connect(str(serving / "one.duckdb")) as connection:
        connection.execute(
            "create schema if not exists marts; create or replace table marts.ops_abuse_labels "
            "(label_id bigint, user_id varchar, is_abuser boolean, labelled_at timestamp, labelled_by varchar, "
            "note varchar)"
        )
        for number, given in labels:
            connection.execute(
                "insert into marts.ops_abuse_labels values (?, ?, ?, ?, ?, ?)",
                [number, given.user_id, given.is_abuser, AT.replace(tzinfo=None), given.labelled_by, given.note],
            )
    (serving / "current.duckdb").unlink(missing_ok=True)
    (serving / "current.duckdb").symlink_to("one.duckdb")


def test_labels_that_the_snapshot_lacks_are_new(store: StateStore, tmp_path: Path):
    record_label(store, label(True))
    publish(tmp_path)
    assert count_new_labels(store, tmp_path) == 1
    publish(tmp_path, (1, label(True)))
    assert count_new_labels(store, tmp_path) == 0


def test_a_label_of_a_store_that_began_again_is_new_although_its_number_is_published(store: StateStore, tmp_path: Path):
    lost = label(True, by="Bob")
    publish(tmp_path, *((number, lost) for number in range(1, 8)))
    assert count_new_labels(store, tmp_path) == 0
    record_label(store, label(False))
    assert count_new_labels(store, tmp_path) == 1
    publish(tmp_path, (7, lost), (8, label(False)))
    assert count_new_labels(store, tmp_path) == 0


def test_without_a_snapshot_of_labels_none_is_new(store: StateStore, tmp_path: Path):
    record_label(store, label(True))
    assert count_new_labels(store, tmp_path) == 0
    with duckdb.connect(str(tmp_path / "one.duckdb")) as connection:
        connection.execute("create schema marts")
    (tmp_path / "current.duckdb").symlink_to("one.duckdb")
    assert count_new_labels(store, tmp_path) == 0
