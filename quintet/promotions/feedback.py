"""Labels from people: recording them, and refusing contradictions."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import duckdb

from quintet.promotions.store import Label, all_labels, insert_label, label_of
from quintet.state.store import StateStore
from quintet.warehouse.snapshot import NoSnapshotError, current_snapshot, open_snapshot


class ContradictionError(ValueError):
    """The label contradicts the current one; the message says whose that is and how to replace it."""


@dataclass(frozen=True)
class Confirmed:
    """The current label. is_new: whether it was recorded now; replaced: whether it replaced another."""

    label: Label
    is_new: bool
    replaced: bool


def confirm(store: StateStore, label: Label, label_of_file: bool | None, replace: bool) -> Confirmed:
    """Record the label. label_of_file: the label of the user in the files, if any.

    The same label again changes nothing. Raises ContradictionError if the current one differs and replace is False.
    """
    with store.write() as connection:  # nobody else labels the user between reading and writing
        before = label_of(store, label.user_id)
        known = before.is_abuser if before is not None else label_of_file
        if before is not None and before.is_abuser == label.is_abuser:
            return Confirmed(before, is_new=False, replaced=False)
        contradicts = known is not None and known != label.is_abuser
        if contradicts and not replace:
            who = f"{before.labelled_by} at {_moment(before.labelled_at)}" if before is not None else "the users file"
            raise ContradictionError(
                f"{label.user_id} was labelled {_in_words(bool(known))} by {who}; send `replace: true` to put "
                f"{_in_words(label.is_abuser)} in its place"
            )
        insert_label(connection, label)
        return Confirmed(label, is_new=True, replaced=contradicts)


def label_in_files(cursor: duckdb.DuckDBPyConnection, user_id: str) -> tuple[bool, bool | None]:
    """Return whether the snapshot has the user, and the label in its files, None without one."""
    rows = cursor.execute("select is_abuser from marts.fct_promo_users where user_id = ?", [user_id]).fetchall()
    return bool(rows), rows[0][0] if rows else None


def count_new_labels(store: StateStore, serving: Path) -> int:
    """Return how many labels of the store the current snapshot does not have; 0 if there is no such snapshot.

    Compares the labels themselves: a store that was restored uses their numbers again.
    """
    try:
        with open_snapshot(current_snapshot(serving)) as snapshot:
            rows = snapshot.execute(
                "select user_id, is_abuser, labelled_at, labelled_by, note from marts.ops_abuse_labels"
            ).fetchall()
    except (NoSnapshotError, duckdb.CatalogException):
        return 0
    known = {Label(user, is_abuser, at.replace(tzinfo=dt.UTC), by, note) for user, is_abuser, at, by, note in rows}
    return sum(label not in known for label in all_labels(store))


def _in_words(is_abuser: bool) -> str:
    return "an abuser" if is_abuser else "honest"


def _moment(at: dt.datetime) -> str:
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
