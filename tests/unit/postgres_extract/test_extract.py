"""Extract an application's PostgreSQL into raw tables: only changes, as of one moment, without losses."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from quintet.ingest.raw_tables import prepare
from quintet.postgres_extract import extract as extracting
from quintet.postgres_extract.extract import Extraction, extract
from quintet.postgres_extract.postgres import ExtractError, activity
from quintet.warehouse.database import open_warehouse
from tests.unit.postgres_extract.shop import DATASETS


def has_changes(done: Extraction) -> bool:
    return bool(done.new or done.changed or done.deleted)


class Shop:
    """A database and a warehouse that it is extracted into."""

    def __init__(self, url: str, connection: duckdb.DuckDBPyConnection, landing: Path) -> None:
        self.url, self.connection, self.landing = url, connection, landing
        self._moments = (dt.datetime(2026, 1, 1) + dt.timedelta(hours=number) for number in itertools.count())

    def sql(self, *statements: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as database:
            for statement in statements:
                database.execute(statement)  # type: ignore[arg-type]

    def take(self, **options: Any) -> dict[str, Extraction]:
        done = extract(
            self.connection, self.url, DATASETS, self.landing, next(self._moments), lambda _: None, **options
        )
        return {one.dataset: one for one in done}

    def raw(self, columns: str = "person_id, phone", table: str = "people") -> list[tuple[Any, ...]]:
        return self.connection.execute(f"select {columns} from raw.{table} order by all").fetchall()

    def deleted(self) -> list[tuple[str, ...]]:
        return self.connection.execute(
            "select dataset, key from ops.source_rows where deleted_at is not null order by all"
        ).fetchall()


@pytest.fixture
def shop(url: str, tmp_path: Path) -> Iterator[Shop]:
    with open_warehouse(tmp_path / "warehouse.duckdb", memory_limit="1GB", threads=2, lock_wait_seconds=0) as opened:
        prepare(opened, DATASETS)
        shop = Shop(url, opened, tmp_path / "landing")
        shop.sql(
            "create table people (person_id text primary key, created_at timestamp not null, phone text, extra int)",
            "create table codes (code text, amount double precision)",
            "insert into people values ('a', '2026-01-01 10:00', '1', 7), ('b', '2026-01-02 10:00:00.5', null, 7)",
            "insert into codes values ('X', 5), ('X', 5), ('X', 7.1), ('Y', 1)",
        )
        yield shop


def test_the_first_extraction_loads_everything_as_text_with_its_batch(shop: Shop):
    done = shop.take()

    assert done["people"] == Extraction("people", new=2, changed=0, deleted=0, rows=2, rejected=0)
    assert shop.raw("person_id, created_at, phone") == [
        ("a", "2026-01-01 10:00:00", "1"),
        ("b", "2026-01-02 10:00:00.5", None),
    ]
    assert shop.raw("code, amount", "codes") == [("X", "5"), ("X", "5"), ("X", "7.1"), ("Y", "1")]
    ((file, status),) = shop.connection.execute(
        "select file, status from ops.batches where dataset = 'people'"
    ).fetchall()
    assert (file.startswith("postgres_people_2026-01-01"), status) == (True, "loaded")
    assert list(shop.landing.rglob("*.parquet")) == []


def test_nothing_is_extracted_if_nothing_changed(shop: Shop):
    shop.take()
    done = shop.take()

    assert not any(has_changes(one) for one in done.values())
    assert len(shop.raw()) == 2


def test_only_new_and_changed_rows_are_extracted(shop: Shop):
    shop.take()
    shop.sql("update people set phone = '2' where person_id = 'a'", "insert into people values ('c', now(), '3', 1)")
    done = shop.take()["people"]

    assert (done.new, done.changed, done.rows) == (1, 1, 2)
    assert shop.raw() == [("a", "1"), ("a", "2"), ("b", None), ("c", "3")]


def test_a_change_back_is_a_change_too(shop: Shop):
    shop.take()
    for phone in ("2", "1"):
        shop.sql(f"update people set phone = '{phone}' where person_id = 'a'")
        assert shop.take()["people"].changed == 1

    last = shop.connection.execute(
        "select phone from raw.people join ops.batches on batch_id = _batch_id where person_id = 'a' "
        "order by arrived_at desc limit 1"
    ).fetchall()
    assert last == [("1",)]
    assert [phone for _, phone in shop.raw() if phone] == ["1", "1", "2"]


def test_a_column_outside_the_contract_changes_nothing(shop: Shop):
    shop.take()
    shop.sql("update people set extra = 8", "alter table people add column other text default 'x'")

    assert not has_changes(shop.take()["people"])


def test_all_rows_of_a_key_are_extracted_again_when_one_changes(shop: Shop):
    shop.take()
    shop.sql("insert into codes values ('X', 5)")
    done = shop.take()["codes"]

    assert (done.changed, done.rows) == (1, 4)


def test_a_delete_is_recorded_and_withdrawn_when_the_row_returns(shop: Shop):
    shop.take()
    shop.sql("delete from people where person_id = 'a'")
    deleted = shop.take()["people"].deleted
    again = shop.take()["people"].deleted
    recorded = shop.deleted()
    shop.sql("insert into people values ('a', '2026-01-01 10:00', '1', 7)")

    assert (deleted, again, recorded) == (1, 0, [("people", '["a"]')])
    assert shop.take()["people"].new == 1
    assert shop.deleted() == []


def test_a_row_that_breaks_its_contract_is_rejected_once(shop: Shop):
    shop.sql("insert into codes values ('Z', 'NaN')")
    first, second = shop.take()["codes"], shop.take()["codes"]

    assert (first.rejected, second.rejected) == (1, 0)
    reasons = shop.connection.execute("select reason from ops.rejected_rows").fetchall()
    assert len(reasons) == 1
    assert "amount must be a number" in reasons[0][0]


def test_all_tables_are_of_one_moment(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    land = extracting._land

    def change_meanwhile(*arguments: Any) -> Any:
        shop.sql("insert into codes values ('later', 1)")
        return land(*arguments)

    monkeypatch.setattr(extracting, "_land", change_meanwhile)
    assert shop.take()["codes"].new == 2, "rows that arrive during the extraction of people are of a later moment"
    monkeypatch.undo()
    assert shop.take()["codes"].new == 1


def test_a_few_and_many_changed_keys_give_the_same(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    shop.take()
    monkeypatch.setattr(extracting, "MOST_KEYS_ASKED", 0)
    shop.sql("update people set phone = '9' where person_id = 'b'")
    done = shop.take()["people"]

    assert (done.changed, done.rows) == (1, 1)
    assert shop.raw() == [("a", "1"), ("b", "9"), ("b", None)]


FAULTS = {
    "a vanished column": ("alter table people drop column phone", "column phone (text) vanished"),
    "a changed type": (
        "alter table people alter phone type bigint using phone::bigint",
        "phone was text and is bigint",
    ),
    "a required column": ("alter table people drop column created_at", "has no column created_at"),
    "a vanished table": ("drop table codes", "has no table codes"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_changed_table_is_a_clear_error_and_the_tables_stay(shop: Shop, what: str):
    statement, words = FAULTS[what]
    shop.take()
    before = shop.raw()
    shop.sql("insert into people values ('c', now(), '3', 1)", statement)

    with pytest.raises(ExtractError) as raised:
        shop.take()
    assert words in str(raised.value)
    assert shop.raw() == before


def test_a_changed_column_can_be_accepted(shop: Shop):
    shop.take()
    shop.sql("alter table people drop column phone")
    done = shop.take(accept_changed_columns=True)["people"]

    assert done.changed == 2
    assert not has_changes(shop.take()["people"])


def test_activity_changes_with_what_is_written(shop: Shop):
    def after(statement: str) -> str:
        shop.sql(statement, "select pg_stat_force_next_flush()", "select 1")
        return activity(shop.url, DATASETS)

    first = after("select 1")
    second = after("update people set phone = '7'")
    assert first != second
    assert after("select count(*) from people") == second


def test_a_database_that_is_down_is_a_clear_error_without_the_password(shop: Shop):
    shop.take()
    shop.url = "postgresql://quintet:very-secret@127.0.0.1:1/nothing"

    with pytest.raises(ExtractError, match=r"cannot be reached.*QUINTET_POSTGRES_URL") as raised:
        shop.take()
    assert "very-secret" not in str(raised.value)
    assert len(shop.raw()) == 2


_PROGRAM = """
    import datetime as dt, sys
    from pathlib import Path
    from quintet.postgres_extract.extract import extract
    from quintet.warehouse.database import open_warehouse
    from tests.unit.postgres_extract.shop import DATASETS

    url, home = sys.argv[1], Path(sys.argv[2])
    print("ready", flush=True)
    with open_warehouse(home / "warehouse.duckdb", memory_limit="1GB", threads=2, lock_wait_seconds=60) as opened:
        extract(opened, url, DATASETS, home / "landing", dt.datetime(2027, 1, 1), lambda _: None)
"""


def test_an_extraction_killed_at_random_moments_loses_nothing(url: str, tmp_path: Path, random_seed: int):
    chance = random.Random(random_seed)
    moments = [chance.uniform(0, 0.6) for _ in range(2)]
    file = tmp_path / "warehouse.duckdb"
    with psycopg.connect(url, autocommit=True) as database:
        database.execute("create table people (person_id text primary key, created_at timestamp, phone text)")
        database.execute("create table codes (code text, amount double precision)")
        database.execute("insert into people select i::text, now(), i::text from generate_series(1, 20000) as i")
        database.execute("insert into codes select (i % 900)::text, 1 from generate_series(1, 1000) as i")
    with open_warehouse(file, memory_limit="1GB", threads=2, lock_wait_seconds=0) as opened:
        prepare(opened, DATASETS)
    command = [sys.executable, "-c", textwrap.dedent(_PROGRAM), url, str(tmp_path)]
    for moment in moments:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3])
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(moment)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    subprocess.run(command, check=True, cwd=Path(__file__).parents[3], capture_output=True)
    with open_warehouse(file, memory_limit="1GB", threads=2, lock_wait_seconds=10) as opened:
        counts = opened.execute(
            "select (select count(distinct person_id) from raw.people), (select count(distinct code) from raw.codes), "
            "(select count(*) from ops.source_rows)"
        ).fetchall()

    assert counts == [(20_000, 900, 20_900)]
