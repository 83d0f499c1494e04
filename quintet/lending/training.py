"""The training set: what was known of a client at each application, beside what came of the loan.

Belongs here: point-in-time features from the log, and outcomes. Which model learns from them does not.

An application that the stream saw is joined with the last states known before it, by its place in the log and not by
dates, which have a day's precision only. An application that the first snapshot found already decided has no such
place: it is given what is dated up to the day before it, so that nothing of its own day or later can leak in, and a
null for features of which the tables keep no dates. `leaks.py` checks that nothing leaks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import duckdb
import pandas as pd

from quintet.changelog.change import Change, completed
from quintet.lending.book import events_of
from quintet.lending.contract import LOAN, USER
from quintet.lending.feature import Feature
from quintet.lending.leaks import check_as_of
from quintet.lending.registry import fold, values
from quintet.online.features import Draft

APPLICATION_COLUMNS = {
    "application_id": "bigint",
    "client_id": "bigint",
    "applied_on": "date",
    "as_of": "date",
    "seen_by": "varchar",
    "amount": "double",
    "duration_days": "double",
}
"""What an application says, with its types in the warehouse."""

OUTCOME_COLUMNS = {"age_years": "double", "outcome": "varchar", "outcome_on": "date"}
"""What no model may look at: the client's age, and what came of the loan and when."""

_STATE_COLUMNS = ["client_id", "number", "states"]

_POINT_IN_TIME = """
    select applications.* exclude (number), states.states
    from applications
    asof left join states
        on applications.client_id = states.client_id and applications.number > states.number
    order by applications.application_id
"""


def training_set(rows: Draft, known: Sequence[Feature], history: Iterable[Sequence[Change]]) -> pd.DataFrame:
    """A row for each application in `history`, which is the whole log in order; `rows` is an empty draft.

    Columns: `APPLICATION_COLUMNS` (seen_by is `stream` or `snapshot`), the features by name, and `OUTCOME_COLUMNS`:
    outcome is `repaid`, `overdue`, or null while it is open. Raises LeakError for a feature that knows of what came
    after an application.
    """
    applications: list[dict[str, Any]] = []
    states: list[dict[str, Any]] = []
    snapshot_end = _replay(rows, known, history, applications, states)
    for application in applications:
        if application["seen_by"] == "snapshot":
            application["number"] = snapshot_end + 0.5  # after the whole snapshot, before the first change
    frames = {
        "applications": pd.DataFrame(applications, columns=[*APPLICATION_COLUMNS, "number"])
        .astype({"amount": "float64", "duration_days": "float64"})
        .drop_duplicates("application_id"),
        "states": pd.DataFrame(states, columns=_STATE_COLUMNS),
    }
    with duckdb.connect() as connection:
        for name, frame in frames.items():
            connection.register(f"{name}_frame", frame)
            connection.execute(f"create table {name} as select * from {name}_frame")
        joined = connection.execute(_POINT_IN_TIME).df()
    found = [
        values(known, json.loads(text) if isinstance(text, str) else {}, date.fromisoformat(as_of))
        for text, as_of in zip(joined["states"], joined["as_of"], strict=True)
    ]
    features = pd.DataFrame(found, columns=[feature.name for feature in known], dtype="float64")
    from_snapshot = joined["seen_by"] == "snapshot"
    for feature in known:
        if not feature.is_dated:
            features.loc[from_snapshot, feature.name] = None
    loans = [rows.row(LOAN, str(key)) for key in joined["application_id"]]
    users = [rows.row(USER, str(key)) for key in joined["client_id"]]
    applied = pd.to_datetime(joined["applied_on"])
    born = pd.to_datetime(pd.Series([(user or {}).get("birth_date") for user in users], dtype="str"), errors="coerce")
    outcome = pd.Series([_outcome(loan) for loan in loans], dtype="object")
    ended_on = pd.Series([(loan or {}).get("updated_on") for loan in loans], dtype="object")
    return pd.concat([joined.drop(columns="states"), features], axis=1).assign(
        age_years=((applied - born).dt.days / 365.25).astype("float64"),
        outcome=outcome,
        outcome_on=ended_on.where(outcome.notna(), None),
    )


def _replay(
    rows: Draft,
    known: Sequence[Feature],
    history: Iterable[Sequence[Change]],
    applications: list[dict[str, Any]],
    states: list[dict[str, Any]],
) -> int:
    """Replay the log; the number of the last change of the snapshot. What a client's states became is numbered."""
    snapshot_end = 0
    touched: set[str] = set()
    for number, change in enumerate((change for changes in history for change in changes), start=1):
        is_snapshot = change.operation == "snapshot"
        if not is_snapshot and touched:
            check_as_of(rows, known, applications)
            states += _states_at(rows, touched, snapshot_end)
            touched = set()
        applications += _applications(change, number)
        clients = set()
        for client, event in events_of(rows, change):
            rows.put_states(client, fold(known, rows.states(client), event))
            clients.add(client)
        if is_snapshot:
            touched |= clients
            snapshot_end = number
        else:
            states += _states_at(rows, clients, number)
    if touched:
        check_as_of(rows, known, applications)
    states += _states_at(rows, touched, snapshot_end)
    return snapshot_end


def _states_at(rows: Draft, clients: Iterable[str], number: int) -> Iterator[dict[str, Any]]:
    for client in sorted(clients):
        yield {"client_id": int(client), "number": float(number), "states": json.dumps(rows.states(client))}


def _applications(change: Change, number: int) -> Iterator[dict[str, Any]]:
    """The application that a change is, if it is one: a loan that was not there before."""
    if change.table != LOAN or change.row is None or change.operation not in ("insert", "snapshot"):
        return
    row = completed(change, None) or {}
    if row.get("client_id") is None or row.get("created_on") is None or "infinity" in row["created_on"]:
        return
    applied_on = date.fromisoformat(row["created_on"])
    is_streamed = change.operation == "insert"
    yield {
        "application_id": row["id"],
        "client_id": row["client_id"],
        "applied_on": applied_on.isoformat(),
        "as_of": (applied_on if is_streamed else applied_on - timedelta(days=1)).isoformat(),
        "number": float(number),
        "seen_by": "stream" if is_streamed else "snapshot",
        "amount": _positive(row.get("amount")),
        "duration_days": _positive(row.get("duration")),
    }


def _positive(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and value > 0 else None


def _outcome(loan: dict[str, Any] | None) -> str | None:
    return {"paid": "repaid", "overdue": "overdue"}.get(loan["status"] or "") if loan else None
