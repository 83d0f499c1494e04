"""The training set: a client's features at each application, with the outcome of the loan.

An application from the stream is joined with the last states before it, by its place in the log and not by dates, which
are precise to a day only. An application from the first snapshot has no such place: it gets the features from facts
dated up to the day before it, so nothing of its own day or later can leak in, and null for features without dates.
`leaks.py` checks this.

An application is left out if the client's features were not complete at it: after a table became incomplete, or while
one of the client's rows was quarantined.

Features at an application never change: they are settled once, when the log is first read up to it, and stored beside
the states. Only the outcome is looked up each time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import takewhile
from typing import Any

import orjson
import pandas as pd

from quintet.change_log.change import Change, Position
from quintet.lending.book import ANYBODY, MARK, Rows, apply_changes, events_of
from quintet.lending.contract import APPLICATION, ISSUED, LOAN, SCHEMA, USER
from quintet.lending.feature import Feature
from quintet.lending.feature_registry import fold, values
from quintet.lending.leaks import check_as_of
from quintet.lending.rows import UnreadableRowError, read_row
from quintet.replicated import QuarantinedRow
from quintet.state.features import FeatureStore
from quintet.warehouse.connect import connect_closed

SETTLED, _WAITING = "settled_application", "waiting_application"
"""Further tables beside those of the log: applications with their features, and, while the snapshot is read,
applications whose states are not complete."""

APPLICATION_COLUMNS = {
    "application_id": "bigint",
    "client_id": "bigint",
    "applied_on": "date",
    "as_of": "date",
    "seen_by": "varchar",
    "seen_on": "date",
    "amount": "double",
    "duration_days": "double",
}
"""The columns of an application, with their types in the warehouse."""

OUTCOME_COLUMNS = {
    "age_years": "double",
    "outcome": "varchar",
    "outcome_on": "date",
    "is_open": "boolean",
    "is_issued": "boolean",
}
"""Columns that no model may use: the client's age, the loan's outcome and its day, whether it is undecided, and whether
it was paid out."""

_STATE_COLUMNS = ["client_id", "number", "states"]

_POINT_IN_TIME = """
    select applications.application_id, states.states
    from applications
    asof left join states
        on applications.client_id = states.client_id and applications.number > states.number
"""


def settle(
    rows: Rows,
    known: Sequence[Feature],
    changes: Sequence[Change],
    snapshot_ends: bool,
    complete_until: Position | None = None,
) -> Counter[str]:
    """Apply the next changes of the log, settle the applications among them, and count these by day of the log.

    snapshot_ends: whether these changes complete the snapshot, so that its applications can be settled too.
    complete_until: where the first table became incomplete, None if all are complete. Raises LeakError for a feature
    that uses facts from after an application.
    """
    found: Counter[str] = Counter()
    snapshot = list(takewhile(lambda change: change.operation == "snapshot", changes))
    streamed = changes[len(snapshot) :]
    for application in _applications(snapshot):
        rows.put_row(_WAITING, str(application["application_id"]), None, application)
    apply_changes(rows, known, snapshot)
    if streamed or snapshot_ends:
        waiting = {key: rows.row(_WAITING, key) or {} for key in rows.table_keys(_WAITING)}
        check_as_of(rows, known, list(waiting.values()))
        for key, application in waiting.items():
            if not _has_mark(rows, str(application["client_id"])):
                _settle(rows, known, application, rows.states(str(application["client_id"])), found)
            rows.put_row(_WAITING, key, None, None)
    applications = [one for one in _applications(streamed) if rows.row(SETTLED, str(one["application_id"])) is None]
    if complete_until is not None:
        applications = [one for one in applications if streamed[one["number"]].position < complete_until]
    states, marked = _states_at(rows, known, streamed, applications)
    applications = [one for one in applications if one["number"] not in marked]
    for application, text in _joined(applications, states):
        _settle(rows, known, application, orjson.loads(text) if isinstance(text, str) else {}, found)
    return found


def training_set(store: FeatureStore, known: Sequence[Feature]) -> pd.DataFrame:
    """Return a row for each settled application.

    Columns: `APPLICATION_COLUMNS` (seen_by is `stream` or `snapshot`; seen_on is the day of the log), the features by
    name, and `OUTCOME_COLUMNS`: outcome is `repaid`, `overdue`, or null before that; is_open until it is decided;
    is_issued once it was paid out.
    """
    figures = [name for name, kind in APPLICATION_COLUMNS.items() if kind == "double"]
    figures += [feature.name for feature in known]
    columns = list(dict.fromkeys([*APPLICATION_COLUMNS, *figures]))
    frame = pd.DataFrame([row for _, row in store.rows(SETTLED)], columns=columns)
    frame = frame.astype(dict.fromkeys(figures, "float64")).sort_values("application_id", ignore_index=True)
    loans, users = dict(store.rows(LOAN)), dict(store.rows(USER))
    loan = [loans.get(str(key)) or {} for key in frame["application_id"]]
    born = pd.Series([(users.get(str(key)) or {}).get("birth_date") for key in frame["client_id"]], dtype="str")
    age = pd.to_datetime(frame["applied_on"]) - pd.to_datetime(born, errors="coerce")
    outcome = pd.Series([_OUTCOMES.get(one.get("status") or "") for one in loan], dtype="object")
    ended_on = pd.Series([one.get("updated_on") for one in loan], dtype="object")
    return frame.assign(
        age_years=(age.dt.days / 365.25).astype("float64"),
        outcome=outcome,
        outcome_on=ended_on.where(outcome.notna(), None),
        is_open=[one.get("status") == APPLICATION for one in loan],
        is_issued=[one.get("status") in ISSUED for one in loan],
    )


_OUTCOMES = {"paid": "repaid", "overdue": "overdue"}


def _settle(
    rows: Rows,
    known: Sequence[Feature],
    application: Mapping[str, Any],
    states: Mapping[str, Any],
    found: Counter[str],
) -> None:
    """Store an application with the values of `states`, unless it is settled already."""
    key = str(application["application_id"])
    if rows.row(SETTLED, key) is not None:
        return
    figures = values(known, states, date.fromisoformat(application["as_of"]))
    if application["seen_by"] == "snapshot":
        figures |= {feature.name: None for feature in known if not feature.is_dated}
    columns = {name: application[name] for name in APPLICATION_COLUMNS}
    rows.put_row(SETTLED, key, application["seen_on"], columns | figures)
    found[application["seen_on"]] += 1


def _joined(applications: list[dict[str, Any]], states: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], Any]]:
    """Yield each application with the text of the last states before it, None if there are none."""
    if not applications:
        return
    unique = pd.DataFrame(applications, columns=[*APPLICATION_COLUMNS, "number"]).drop_duplicates("application_id")
    with connect_closed() as connection:
        for name, frame in {"applications": unique, "states": pd.DataFrame(states, columns=_STATE_COLUMNS)}.items():
            connection.register(f"{name}_frame", frame)
            connection.execute(f"create table {name} as select * from {name}_frame").fetchall()
        texts = dict(connection.execute(_POINT_IN_TIME).fetchall())
    for number in unique.index:
        yield applications[number], texts[applications[number]["application_id"]]


def _states_at(
    rows: Rows, known: Sequence[Feature], changes: Iterable[Change], applications: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], set[int]]:
    """Apply changes; return the states of the applications' clients, and the applications with a quarantined row.

    Each state has the number of the change that led to it; an application is given by the number of its change.
    """
    client_at = {one["number"]: str(one["client_id"]) for one in applications}
    wanted, marked = set(client_at.values()), set[int]()
    quarantined: list[QuarantinedRow] = []
    states = [_state(client, -1, rows.states(client)) for client in sorted(wanted)]
    for number, change in enumerate(changes):
        touched: dict[str, None] = {}
        for client, event in events_of(rows, change, quarantined):
            rows.put_states(client, fold(known, rows.states(client), event))
            touched[client] = None
        states += [_state(client, number, rows.states(client)) for client in touched if client in wanted]
        if number in client_at and _has_mark(rows, client_at[number]):
            marked.add(number)
    return states, marked


def _has_mark(rows: Rows, client: str) -> bool:
    """Return whether a row of the client, or of an unknown client, is quarantined now."""
    return bool(rows.children(MARK, client) or rows.children(MARK, ANYBODY))


def _state(client: str, number: int, states: Mapping[str, Any]) -> dict[str, Any]:
    return {"client_id": int(client), "number": number, "states": orjson.dumps(states).decode()}


def _applications(changes: Iterable[Change]) -> Iterator[dict[str, Any]]:
    """Yield the applications among changes: loans that did not exist before."""
    for number, change in enumerate(changes):
        if change.name != (SCHEMA, LOAN) or change.row is None or change.operation not in ("insert", "snapshot"):
            continue
        try:
            row = read_row(LOAN, change.row)
        except UnreadableRowError:
            continue  # the row is quarantined
        if row["client_id"] is None or row["created_on"] is None:
            continue
        applied_on = date.fromisoformat(row["created_on"])
        is_streamed = change.operation == "insert"
        yield {
            "application_id": row["id"],
            "client_id": row["client_id"],
            "applied_on": applied_on.isoformat(),
            "as_of": (applied_on if is_streamed else applied_on - timedelta(days=1)).isoformat(),
            "seen_by": "stream" if is_streamed else "snapshot",
            "seen_on": change.committed_at[:10],
            "amount": _positive(row.get("amount")),
            "duration_days": _positive(row.get("duration")),
            "number": number,
        }


def _positive(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and value > 0 else None
