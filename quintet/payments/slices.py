"""Live counts by dimension in the state store: recorded, trained on, and what explains an incident.

All of it is in the store and nothing in memory, so several services share it as they share counts. A slice is the
count of a status in a minute for one combination of values.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2s
from typing import Any

import pandas as pd

from quintet.payments.dimensions import MOST_VALUES, OTHERS, clean_value
from quintet.payments.explanation import explain, folded
from quintet.payments.explanation_values import Explained
from quintet.payments.incidents import APPROVED, FEED, VOLUME, Incident
from quintet.payments.items import Item
from quintet.state.outbox import at_text
from quintet.state.store import Connection, StateStore

HISTORY_DAYS = 7
"""Days from which the usual rate of a value comes."""

RECENT_MINUTES = 60
"""Minutes whose slices are kept at least."""

_MINUTES_PER_DAY = 1_440
_TRAINED_EVERY_MINUTES = 5
_LONGEST_FREEZE_MINUTES = 240
REFERENCE_MINUTES = 45
_COUNT, _TRANSACTION = "count", "transaction"
EXPOSED = (APPROVED, "denied")

_ADD = (
    "insert into payment_slices (minute, status, kind, slice_id, labels, count) values (?, ?, ?, ?, ?, ?) "
    "on conflict (minute, status, kind, slice_id) do update set count = "
)
_TRAIN = (
    "insert into payment_value_days (day, dimension, value, status, count) values (?, ?, ?, ?, ?) "
    "on conflict (day, dimension, value, status) do update set count = payment_value_days.count + excluded.count"
)


def record_counts(connection: Connection, minute: int, items: Sequence[Item]) -> dict[str, int]:
    """Write the counts of a minute; return the sum over all combinations for each of their statuses.

    Values that are written in different ways are different combinations here: each is counted.
    """
    totals: dict[str, int] = {}
    for status, given in _by_status(items).items():
        _forget_other_kind(connection, minute, status, _COUNT)
        ids = [_slice_id(item) for item in given]
        counts = {one: item.count for one, item in zip(ids, given, strict=True)}
        labels = {one: labels_of(item.values) for one, item in zip(ids, given, strict=True)}
        before = connection.execute(
            "select slice_id, count from payment_slices where minute = ? and status = ? and kind = ?",
            (minute, status, _COUNT),
        ).fetchall()
        known = {row["slice_id"]: row["count"] for row in before}
        changed = {one: count for one, count in counts.items() if known.get(one) != count}
        connection.executemany(
            f"{_ADD}excluded.count",
            [(minute, status, _COUNT, one, labels[one], count) for one, count in changed.items()],
        )
        totals[status] = sum((known | counts).values())
    return totals


def record_transactions(connection: Connection, minute: int, items: Sequence[Item]) -> None:
    """Count single transactions of a minute, none of which was counted before."""
    for status, given in _by_status(items).items():
        _forget_other_kind(connection, minute, status, _TRANSACTION)
        ids = [_slice_id(item) for item in given]
        labels = {one: labels_of(item.values) for one, item in zip(ids, given, strict=True)}
        connection.executemany(
            f"{_ADD}payment_slices.count + excluded.count",
            [(minute, status, _TRANSACTION, one, labels[one], count) for one, count in Counter(ids).items()],
        )


def _by_status(items: Iterable[Item]) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = {}
    for item in items:
        found.setdefault(item.status, []).append(item)
    return found


def _forget_other_kind(connection: Connection, minute: int, status: str, kind: str) -> None:
    """Delete what the last count of the status replaces: counts and single transactions are not added up."""
    connection.execute(
        "delete from payment_slices where minute = ? and status = ? and kind <> ?", (minute, status, kind)
    )


def _slice_id(item: Item) -> str:
    return blake2s(repr(item.values).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def labels_of(values: Iterable[tuple[str, str]]) -> str:
    """Return the values of an item as a JSON object of those that are not empty, in the form for comparison."""
    cleaned = {name: clean_value(text) for name, text in values}
    return json.dumps({name: value for name, value in cleaned.items() if value}, sort_keys=True, ensure_ascii=False)


# -- training ----------------------------------------------------------------------------------------------------------


def train(connection: Connection, dimensions: Sequence[str], settled_minute: int) -> None:
    """Add the slices of the minutes up to `settled_minute` to the usual counts of their values, each minute once.

    Minutes of an incident are left out during its first four hours. Slices that are too old to be used are deleted.
    """
    row = connection.execute("select until_minute from payment_value_training").fetchone()
    since = row["until_minute"] if row else settled_minute - RECENT_MINUTES
    if settled_minute - since < _TRAINED_EVERY_MINUTES:
        return
    connection.execute(
        "insert into payment_value_training (one, until_minute) values (1, ?) "
        "on conflict (one) do update set until_minute = excluded.until_minute",
        (settled_minute,),
    )
    rows = connection.execute(
        "select minute, status, labels, sum(count) as count from payment_slices where minute > ? and minute <= ? "
        "and not exists (select 1 from payment_incidents as one where one.source = 'live' "
        "and one.state in ('firing', 'resolved') and one.started_minute <= payment_slices.minute "
        "and (one.ended_minute is null or one.ended_minute > payment_slices.minute) "
        "and payment_slices.minute < one.started_minute + ?) group by minute, status, labels",
        (since, settled_minute, _LONGEST_FREEZE_MINUTES),
    ).fetchall()
    counts: Counter[tuple[int, str, str, str]] = Counter()
    for one in rows:
        for dimension, value in json.loads(one["labels"]).items():
            if dimension in dimensions:
                counts[one["minute"] // _MINUTES_PER_DAY, dimension, value, one["status"]] += int(one["count"])
    connection.executemany(_TRAIN, _folded(connection, counts))
    oldest_day = settled_minute // _MINUTES_PER_DAY - HISTORY_DAYS
    connection.execute("delete from payment_value_days where day < ?", (oldest_day,))
    connection.execute("delete from payment_slices where minute < ?", (settled_minute - RECENT_MINUTES,))


def _folded(connection: Connection, counts: Mapping[tuple[int, str, str, str], int]) -> list[tuple[Any, ...]]:
    """Return rows to add, with `OTHERS` for the values of a day beyond `MOST_VALUES`; the largest come first."""
    kept: dict[tuple[int, str], set[str]] = {}
    sizes: Counter[tuple[int, str, str]] = Counter()
    for (day, dimension, value, _), count in counts.items():
        sizes[day, dimension, value] += count
        kept.setdefault((day, dimension), set())
    for day, dimension in kept:
        rows = connection.execute(
            "select distinct value from payment_value_days where day = ? and dimension = ?", (day, dimension)
        )
        kept[day, dimension] |= {row["value"] for row in rows.fetchall()}
    for (day, dimension, value), _ in sorted(sizes.items(), key=lambda pair: (-pair[1], pair[0])):
        if len(kept[day, dimension] - {OTHERS}) < MOST_VALUES - 1:
            kept[day, dimension].add(value)
    found: Counter[tuple[int, str, str, str]] = Counter()
    for (day, dimension, value, status), count in counts.items():
        name = value if value in kept[day, dimension] else OTHERS
        found[day, dimension, name, status] += count
    return [(*key, count) for key, count in sorted(found.items())]


# -- explaining --------------------------------------------------------------------------------------------------------


def explain_incident(
    connection: Connection, dimensions: Sequence[str], incident: Incident, minute: int, now: dt.datetime
) -> None:
    """Find the values that explain an incident whose worst point is of this minute, and write them."""
    if incident.series == FEED:
        return
    first = minute - incident.window_minutes + 1
    slices = _slices_of(connection, dimensions, incident, first, minute)
    days = (minute // _MINUTES_PER_DAY - HISTORY_DAYS, minute // _MINUTES_PER_DAY)
    is_drop = incident.series == VOLUME
    history = {} if is_drop else histories(connection, dimensions, incident.series, *days)
    found = explain(slices, dimensions, history, incident.expected, is_drop=is_drop)
    connection.execute("delete from payment_incident_values where incident_id = ?", (incident.incident_id,))
    connection.executemany(
        "insert into payment_incident_values "
        "(incident_id, place, dimension, value, observed, expected, share, p_value, explained_at) "
        "values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(incident.incident_id, place, *one, at_text(now)) for place, one in enumerate(found)],
    )


def _slices_of(
    connection: Connection, dimensions: Sequence[str], incident: Incident, first: int, last: int
) -> pd.DataFrame:
    """Return the slices of an incident's window: count of its series, and weight.

    The weight is what is approved or denied in the window; of the volume, what was approved before the incident.
    """
    is_drop = incident.series == VOLUME
    status = APPROVED if is_drop else incident.series
    counts = _sums(connection, first, last, (status,))
    before = incident.started_minute
    weights = (
        _sums(connection, before - REFERENCE_MINUTES, before - 1, (APPROVED,))
        if is_drop
        else _sums(connection, first, last, EXPOSED)
    )
    return slice_frame(counts, weights, dimensions)


def slice_frame(counts: Mapping[str, int], weights: Mapping[str, int], dimensions: Sequence[str]) -> pd.DataFrame:
    """Return the slices for `explain` from counts and weights by combination, a JSON object."""
    names = sorted(counts.keys() | weights.keys())
    labels = [json.loads(one) for one in names]
    frame = pd.DataFrame({one: [each.get(one, "") for each in labels] for one in dimensions}, dtype=object)
    return frame.assign(count=[counts.get(one, 0) for one in names], weight=[weights.get(one, 0) for one in names])


def _sums(connection: Connection, first: int, last: int, statuses: Sequence[str]) -> dict[str, int]:
    rows = connection.execute(
        "select labels, sum(count) as count from payment_slices where minute >= ? and minute <= ? "
        f"and status in ({', '.join('?' * len(statuses))}) group by labels",
        (first, last, *statuses),
    )
    return {row["labels"]: int(row["count"]) for row in rows.fetchall()}


def histories(
    connection: Connection, dimensions: Sequence[str], status: str, first_day: int, last_day: int
) -> dict[str, pd.DataFrame]:
    """Return by dimension the usual events and exposure of each value, over whole days from 1970."""
    rows = connection.execute(
        "select dimension, value, sum(case when status = ? then count else 0 end) as events, "
        "sum(case when status in (?, ?) then count else 0 end) as exposure from payment_value_days "
        "where day >= ? and day <= ? group by dimension, value",
        (status, *EXPOSED, first_day, last_day),
    ).fetchall()
    found: dict[str, list[tuple[str, int, int]]] = {name: [] for name in dimensions}
    for row in rows:
        if row["dimension"] in found:
            found[row["dimension"]].append((row["value"], int(row["events"]), int(row["exposure"])))
    return {
        name: pd.DataFrame(of_name, columns=["value", "events", "exposure"]).set_index("value")
        for name, of_name in found.items()
    }


def explanations(store: StateStore, incident_ids: Iterable[str] | None = None) -> dict[str, list[Explained]]:
    """Return the values that explain incidents, by incident_id; of all of them by default."""
    chosen = None if incident_ids is None else list(incident_ids)
    if chosen is not None and not chosen:
        return {}
    among = "" if chosen is None else f"where incident_id in ({', '.join('?' * len(chosen))}) "
    rows = store.read().execute(
        f"select * from payment_incident_values {among}order by incident_id, place", tuple(chosen or ())
    )
    found: dict[str, list[Explained]] = {}
    for row in rows.fetchall():
        values = Explained(
            row["dimension"], row["value"], row["observed"], row["expected"], row["share"], row["p_value"]
        )
        found.setdefault(row["incident_id"], []).append(values)
    return found


def breakdown(
    store: StateStore, dimension: str, status: str, last_minute: int, minutes: int = RECENT_MINUTES
) -> tuple[pd.DataFrame, int]:
    """Return the values of a dimension in the last minutes, the largest excess first; and how many different ones.

    Columns: value (empty where unknown), approved, count (of the status), exposure (approved or denied), usual_share
    (of the status in the exposure on the last `HISTORY_DAYS` days; null for a new value), expected (the usual share of
    the exposure), excess. Values beyond `MOST_VALUES` are one row, `OTHERS`.
    """
    first = last_minute - minutes + 1
    with store.reading() as connection:
        counts = _sums(connection, first, last_minute, (status,))
        approved = _sums(connection, first, last_minute, (APPROVED,))
        exposure = _sums(connection, first, last_minute, EXPOSED)
        day = last_minute // _MINUTES_PER_DAY
        usual = histories(connection, (dimension,), status, day - HISTORY_DAYS, day)[dimension]
    names = sorted(counts.keys() | exposure.keys())
    frame = pd.DataFrame(
        {
            "value": [json.loads(one).get(dimension, "") for one in names],
            "approved": [approved.get(one, 0) for one in names],
            "count": [counts.get(one, 0) for one in names],
            "exposure": [exposure.get(one, 0) for one in names],
        }
    )
    distinct = int(frame.loc[frame["value"] != "", "value"].nunique())
    frame["value"] = folded(frame["value"], frame["exposure"].to_numpy(float))
    found = frame.groupby("value", as_index=False, sort=True).sum()
    share = (usual["events"] / usual["exposure"].where(usual["exposure"] > 0)).astype(float)
    found["usual_share"] = found["value"].map(share)
    found["expected"] = found["usual_share"] * found["exposure"]
    found["excess"] = found["count"] - found["expected"]
    return found.sort_values(["excess", "count"], ascending=False, kind="stable", ignore_index=True), distinct
