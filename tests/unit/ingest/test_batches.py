"""The bookkeeping of batches and of built code versions."""

from __future__ import annotations

import datetime as dt
from typing import Any

import duckdb
import pytest

from quintet.ingest.batches import loaded_batches, mark_modelled

AT = dt.datetime(2024, 6, 2)


@pytest.fixture
def loaded(shop: Any, header: str) -> duckdb.DuckDBPyConnection:
    for number in (1, 2):
        shop.put(f"{number}.csv", header + f"{number},2024-05-01,1,1,x\n")
    shop.put("3.csv", "unreadable\n")
    shop.load()
    return shop.connection


def modelled(connection: duckdb.DuckDBPyConnection) -> dict[str, dt.datetime | None]:
    return dict(connection.execute("select file, modelled_at from ops.batches").fetchall())


def test_rejected_batches_are_not_among_the_loaded(loaded: duckdb.DuckDBPyConnection):
    batches = loaded_batches(loaded)

    assert len(batches) == 2
    assert batches == sorted(batches)
    assert {dataset for dataset, _ in batches} == {"orders"}


def test_only_the_batches_in_the_models_are_marked(loaded: duckdb.DuckDBPyConnection):
    ((first,),) = loaded.execute("select batch_id from ops.batches where file = '1.csv'").fetchall()

    mark_modelled(loaded, [("orders", first), ("others", first)], AT)

    assert modelled(loaded) == {"1.csv": AT, "2.csv": None, "3.csv": None}


def test_a_mark_is_set_once(loaded: duckdb.DuckDBPyConnection):
    mark_modelled(loaded, loaded_batches(loaded), AT)
    mark_modelled(loaded, loaded_batches(loaded), AT + dt.timedelta(days=1))

    assert modelled(loaded) == {"1.csv": AT, "2.csv": AT, "3.csv": None}


def test_marking_nothing_changes_nothing(loaded: duckdb.DuckDBPyConnection):
    mark_modelled(loaded, [], AT)

    assert set(modelled(loaded).values()) == {None}
