"""The clients' features as Parquet files in the object store, for data scientists.

In the bucket:

    features/catalogue.json                           every feature: column, full name, definition, unit; and the days
    features/current/lending.parquet                  the features of every client, at the end of the latest day
    features/as_of=YYYY-MM-DD/lending.parquet         the same at the end of that day, one file for each day of a run
    features/applications/lending.parquet             every application with its features then, and the loan's outcome

A column has the name that tables use, and in its metadata the full name, such as `client.paid_loans.count`.
"""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Callable, Collection, Sequence
from typing import Any

import obstore
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from quintet.change_log.log import ObjectStore
from quintet.lending.feature import Feature

FOLDER = "features"
CATALOGUE = f"{FOLDER}/catalogue.json"
CURRENT = f"{FOLDER}/current/lending.parquet"
APPLICATIONS = f"{FOLDER}/applications/lending.parquet"

_KINDS = {"_count": "count", "_rate": "rate", "_share": "share", "_principal": "amount"}
_KEYS = {"client_id": pa.int64(), "application_id": pa.int64()}


class NoFeaturesError(LookupError):
    """There are no feature files, or none of the day; the message says what to do."""


def full_name(column: str) -> str:
    """Return the full name of a feature: `client.paid_loans.count` for `paid_loans_count`."""
    for ending, kind in _KINDS.items():
        if column.endswith(ending):
            kept = column if kind == "amount" else column.removesuffix(ending)
            return f"client.{kept}.{kind}"
    return f"client.{column}.count"


def day_key(day: dt.date) -> str:
    """Return the key of the features of a day."""
    return f"{FOLDER}/as_of={day.isoformat()}/lending.parquet"


def write_features(
    store: ObjectStore, known: Sequence[Feature], at_end_of: Callable[[dt.date], pd.DataFrame], day: dt.date
) -> list[str]:
    """Write the features of a day, as current and as of that day, and the catalogue; return the keys written.

    at_end_of: returns the features at the end of a day. A file of an earlier day is written again if it is gone, or has
    a client who is not a client any more, as after a person was erased. The catalogue comes last: it never names a file
    that is not there.
    """
    days = sorted({*_days(store), day.isoformat()})
    rows = at_end_of(day)
    content, clients = _parquet(rows, known), set(rows["client_id"])
    written = []
    for each in (dt.date.fromisoformat(text) for text in days):
        if each != day and _holds_only(store, day_key(each), clients):
            continue
        _put(store, day_key(each), content if each == day else _parquet(at_end_of(each), known))
        written.append(day_key(each))
    _put(store, CURRENT, content)
    catalogue = {"current": day.isoformat(), "days": days, "features": [_described(feature) for feature in known]}
    _put(store, CATALOGUE, json.dumps(catalogue, indent=2).encode())
    return [*written, CURRENT, CATALOGUE]


def _holds_only(store: ObjectStore, key: str, clients: Collection[int]) -> bool:
    """Return whether a file is there and has no other clients."""
    content = _content(store, key)
    if content is None:
        return False
    return set(pq.read_table(io.BytesIO(content), columns=["client_id"])["client_id"].to_pylist()) <= set(clients)


def write_applications(store: ObjectStore, rows: pd.DataFrame, known: Sequence[Feature]) -> str:
    """Write the applications with their features and outcomes, as `ml.lending_training_set`; return the key."""
    _put(store, APPLICATIONS, _parquet(rows, known))
    return APPLICATIONS


def read_catalogue(store: ObjectStore) -> dict[str, Any]:
    """Return the catalogue: current, days, features. Raises NoFeaturesError."""
    content = _content(store, CATALOGUE)
    if content is None:
        raise NoFeaturesError("there are no feature files yet; drop a loan book and `make run SELECT=lending`")
    catalogue: dict[str, Any] = json.loads(content)
    return catalogue


def read_features(store: ObjectStore, day: dt.date | None = None) -> pd.DataFrame:
    """Return the features at the end of a day, by default of the latest one. Raises NoFeaturesError."""
    days = read_catalogue(store)["days"]
    content = _content(store, CURRENT if day is None else day_key(day))
    if content is None:
        raise NoFeaturesError(f"there are no features as of {day}; there are files as of {', '.join(days)}")
    return pq.read_table(io.BytesIO(content)).to_pandas()


def read_applications(store: ObjectStore) -> pd.DataFrame:
    """Return the applications with their features and outcomes. Raises NoFeaturesError."""
    read_catalogue(store)
    content = _content(store, APPLICATIONS)
    if content is None:
        raise NoFeaturesError("there is no file of applications yet; `make run SELECT=lending` writes it")
    return pq.read_table(io.BytesIO(content)).to_pandas()


def _described(feature: Feature) -> dict[str, Any]:
    return {
        "column": feature.name,
        "name": full_name(feature.name),
        "unit": feature.unit,
        "version": feature.version,
        "definition": feature.definition,
        "null_rule": feature.null_rule,
    }


def _parquet(rows: pd.DataFrame, known: Sequence[Feature]) -> bytes:
    described = {feature.name: _described(feature) for feature in known}
    columns, fields = [], []
    for name in rows:
        if name in described:
            column = pa.array(pd.to_numeric(rows[name]), pa.float64(), from_pandas=True)
        elif name == "as_of":
            column = pa.array(pd.to_datetime(rows[name]).dt.date, pa.date32(), from_pandas=True)
        else:
            column = pa.array(rows[name], _KEYS.get(str(name)), from_pandas=True)
        facts = {key: str(value) for key, value in described.get(str(name), {}).items()}
        fields.append(pa.field(str(name), column.type, metadata=facts or None))
        columns.append(column)
    content = io.BytesIO()
    pq.write_table(pa.table(columns, schema=pa.schema(fields)), content, compression="zstd")
    return content.getvalue()


def _days(store: ObjectStore) -> list[str]:
    content = _content(store, CATALOGUE)
    return list(json.loads(content)["days"]) if content is not None else []


def _content(store: ObjectStore, key: str) -> bytes | None:
    try:
        return bytes(obstore.get(store, key).bytes())
    except FileNotFoundError:
        return None


def _put(store: ObjectStore, key: str, content: bytes) -> None:
    obstore.put(store, key, content, use_multipart=False)
