"""Changes of mappings that the current snapshot does not have yet are counted once, by dataset."""

from __future__ import annotations

import datetime as dt
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from quintet.cases.file_mappings import RECORDED, Mapped, count_new_mappings, record
from quintet.domains import open_state_store
from quintet.state.recorded import create_recorded, ingest_recorded
from quintet.state.store import StateStore

AT = dt.datetime(2026, 3, 4, 12, 0, 0, 123456, tzinfo=dt.UTC)


def put(store: StateStore, given: str, dataset: str = "sales", *, is_active: bool = True, hours: int = 0) -> None:
    with store.write() as connection:
        one = Mapped(dataset, "shape", "count", given)
        record(connection, "case", [one], AT + dt.timedelta(hours=hours), "Ana", is_active=is_active)


def publish(online: Path, serving: Path) -> None:
    """Publish what the store has, as a build does."""
    serving.mkdir()
    with duckdb.connect(str(serving / "current.duckdb")) as snapshot:
        snapshot.execute("create schema ops")
        create_recorded(snapshot, [RECORDED])
        ingest_recorded(snapshot, RECORDED, online)
        snapshot.execute("create schema marts; create table marts.ops_file_mappings as from ops.file_mappings")


def test_what_a_build_has_ingested_is_not_new_and_what_is_taken_back_since_is(tmp_path: Path) -> None:
    serving = tmp_path / "serving"
    with closing(open_state_store(tmp_path)) as store:
        put(store, "n")
        put(store, "m", "transactions")
        assert count_new_mappings(store, serving) == {}, "the first build reads all of it"
        publish(tmp_path, serving)
        assert count_new_mappings(store, serving) == {}
        put(store, "n", is_active=False, hours=1)
        put(store, "size", hours=1)

        assert count_new_mappings(store, serving) == {"sales": 2}


@pytest.mark.parametrize("table", ["", "create table marts.ops_batches (file text)"])
def test_a_snapshot_of_an_earlier_release_says_nothing(tmp_path: Path, table: str) -> None:
    (tmp_path / "serving").mkdir()
    with duckdb.connect(str(tmp_path / "serving" / "current.duckdb")) as snapshot:
        snapshot.execute(f"create schema marts; {table}")
    with closing(open_state_store(tmp_path)) as store:
        put(store, "n")

        assert count_new_mappings(store, tmp_path / "serving") == {}
