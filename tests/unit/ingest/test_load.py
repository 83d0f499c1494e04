"""Files load in any order and grouping: each content once, each row either loaded or quarantined."""

from __future__ import annotations

import datetime as dt
import gzip
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from quintet.ingest import load
from quintet.ingest.contract import Dataset
from quintet.ingest.inbox import list_inbox
from quintet.ingest.load import load_files
from quintet.ingest.raw_tables import prepare
from quintet.ingest.records import read_records
from quintet.warehouse.database import open_warehouse
from tests.digest import table_digest
from tests.unit.ingest.order_files import (
    assert_books_balance,
    lines,
    write_parquet_of_text,
    write_parquet_of_types,
    write_workbook,
)

NOW = dt.datetime(2024, 6, 1, 12)


pytestmark = pytest.mark.usefixtures("balanced")


def raw_digest(connection: duckdb.DuckDBPyConnection) -> str:
    return table_digest(connection, "raw.orders")


# Each content once


def test_the_same_file_again_is_known(shop: Any, header: str):
    shop.put("a.csv", header + lines(1, 3))
    shop.load()
    before = raw_digest(shop.connection)

    (outcome,) = shop.load()

    assert (outcome.status, outcome.message, outcome.rows) == ("known", "same content as a.csv", 0)
    assert raw_digest(shop.connection) == before


def test_the_same_content_under_a_new_name_is_known(shop: Any, header: str):
    shop.put("a.csv", header + lines(1, 3))
    shop.load()
    (shop.inbox / "a.csv").rename(shop.inbox / "b.csv")

    (outcome,) = shop.load()

    assert (outcome.status, outcome.message) == ("known", "same content as a.csv")
    assert shop.rows("_source_file") == [("a.csv",)] * 3


def test_the_same_content_twice_in_an_inbox_is_taken_once(shop: Any, header: str):
    shop.put("a.csv", header + lines(1, 3))
    shop.put("b.csv", header + lines(1, 3))

    assert {outcome.file: outcome.status for outcome in shop.load()} == {"a.csv": "loaded", "b.csv": "known"}
    assert len(shop.rows()) == 3


def test_the_same_content_packed_is_known(shop: Any, header: str):
    shop.put("a.csv", header + lines(1, 3))
    shop.put("b.csv.gz", gzip.compress((header + lines(1, 3)).encode()))

    assert {outcome.file: outcome.status for outcome in shop.load()} == {"a.csv": "loaded", "b.csv.gz": "known"}


def test_changed_content_under_the_same_name_is_a_new_batch(shop: Any, header: str):
    shop.put("a.csv", header + lines(1, 1))
    shop.load()
    shop.put("a.csv", header + lines(1, 2))

    (outcome,) = shop.load()

    assert outcome.status == "loaded"
    assert shop.rows("order_id") == [("1",), ("1",), ("2",)]


def test_equal_rows_of_one_file_are_all_kept(shop: Any, header: str):
    shop.put("a.csv", header + lines(1, 1) * 3)
    shop.load()

    assert len(shop.rows()) == 3


# Rejected files


def test_a_rejected_file_is_recorded_and_the_others_load(shop: Any, header: str):
    shop.put("a.csv", "nothing,to,see\n")
    shop.put("b.csv", header + lines(1, 1))
    shop.load()

    assert shop.connection.execute(
        "select file, status, rows, message is null, modelled_at from ops.batches order by file"
    ).fetchall() == [("a.csv", "rejected", 0, False, None), ("b.csv", "loaded", 1, True, None)]


def test_a_rejected_file_stays_in_place(shop: Any):
    path = shop.put("a.csv", "nothing,to,see\n")
    shop.load()

    assert path.read_text() == "nothing,to,see\n"


def test_a_rejected_file_loads_after_it_was_fixed(shop: Any, header: str):
    shop.put("a.csv", "order_id,ordered_at,amount\n1,2024-05-01,1\n")
    shop.load()
    shop.put("a.csv", header + lines(1, 1))

    (outcome,) = shop.load()

    assert (outcome.status, outcome.rows) == ("loaded", 1)


def test_a_rejected_file_loads_after_the_contract_was_fixed(shop: Any, orders: Dataset):
    shop.put("a.csv", "order_id,ordered_at,amount,pieces,region\n1,2024-05-01,1,1,x\n")
    strict = orders.schema.update_column("note", required=True)
    files = list_inbox(shop.raw, "orders")
    stricter = Dataset("orders", "shop", "", strict)
    assert [one.status for one in load_files(shop.connection, stricter, files, NOW, lambda _: None)] == ["rejected"]

    shop.load()

    assert shop.connection.execute("select status, rows from ops.batches").fetchall() == [("loaded", 1)]


def test_rejecting_a_file_again_leaves_one_record(shop: Any):
    shop.put("a.csv", "nothing,to,see\n")
    shop.load()
    shop.load()

    assert shop.connection.execute("select count(*) from ops.batches").fetchall() == [(1,)]


# The record of a batch


def test_a_batch_records_what_its_file_said(shop: Any, header: str):
    path = shop.put("export_7_2024-05-01.csv", header + lines(1, 2) + "x,y,z,0,\n")
    (file,) = list_inbox(shop.raw, "orders")
    shop.load()

    assert shop.connection.execute(
        "select dataset, file, format, bytes, arrived_at, file_date, file_number, effective_date, rows, loaded, "
        "rejected, status, message, loaded_at, modelled_at, left(content_sha256, 16) = batch_id from ops.batches"
    ).fetchall() == [
        (
            *("orders", path.name, "csv", path.stat().st_size, file.arrived_at),
            *(dt.date(2024, 5, 1), 7, dt.date(2024, 5, 1), 3, 2, 1, "loaded", None, NOW, None, True),
        )
    ]


def test_a_batch_without_a_date_takes_effect_when_it_arrives(shop: Any, header: str):
    shop.put("export.csv", header + lines(1, 1))
    (file,) = list_inbox(shop.raw, "orders")
    shop.load()

    assert shop.connection.execute("select effective_date from ops.batches").fetchall() == [(file.arrived_at.date(),)]


def test_progress_is_reported_after_each_group(
    shop: Any, orders: Dataset, header: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(load, "_GROUP_FILES", 2)
    for number in range(5):
        shop.put(f"{number}.csv", header + lines(number, 1))
    reported: list[str] = []

    load_files(shop.connection, orders, list_inbox(shop.raw, "orders"), NOW, reported.append)

    assert reported == [f"orders: {done} of 5 new files" for done in (2, 4, 5)]


# Interrupted


def test_a_crash_before_the_commit_keeps_nothing_and_the_next_load_takes_all(
    shop: Any, header: str, monkeypatch: pytest.MonkeyPatch
):
    shop.put("a.csv", header + lines(1, 3) + "broken,row\n")
    with monkeypatch.context() as patch:
        patch.setattr(load, "_record_batches", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            shop.load()
    assert shop.rows() == shop.rejected() == []
    assert shop.connection.execute("select count(*) from ops.batches").fetchall() == [(0,)]

    (outcome,) = shop.load()

    assert (outcome.loaded, outcome.rejected) == (3, 1)


def test_a_crash_amid_many_groups_keeps_those_before_it(shop: Any, header: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(load, "_GROUP_FILES", 1)
    for number in range(4):
        shop.put(f"{number}.csv", header + lines(number, 1))

    def die(message: str) -> None:
        if message.startswith("orders: 2 of"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_files(shop.connection, shop.dataset, list_inbox(shop.raw, "orders"), NOW, die)
    assert shop.rows("order_id") == [("0",), ("1",)]

    assert [outcome.status for outcome in shop.load()].count("known") == 2
    assert len(shop.rows()) == 4


def change_while_reading(monkeypatch: pytest.MonkeyPatch, how: Callable[[], object]) -> None:
    """Call `how` once, between the inspection of the files and reading them."""
    stage, pending = load.stage_in_bulk, [how]

    def disturbed(*arguments: Any) -> str:
        while pending:
            pending.pop()()
        return stage(*arguments)

    monkeypatch.setattr(load, "stage_in_bulk", disturbed)


@pytest.mark.parametrize("company", [0, 3])
@pytest.mark.parametrize("change", ["append", "cut", "garble", "remove"])
def test_a_file_that_changes_while_it_is_read_is_left_for_the_next_load(
    shop: Any, header: str, monkeypatch: pytest.MonkeyPatch, change: str, company: int
):
    path = shop.put("a.csv", header + lines(1, 3))
    for number in range(company):
        shop.put(f"b{number}.csv", header + lines(10 + number, 1))
    changes: dict[str, Callable[[], object]] = {
        "append": lambda: path.open("a").write(lines(4, 1)),
        "cut": lambda: path.write_text((header + lines(1, 3))[:-20]),
        "garble": lambda: path.write_bytes(b'\xff\0"' * 10),
        "remove": path.unlink,
    }
    change_while_reading(monkeypatch, changes[change])

    outcomes = {outcome.file: outcome.status for outcome in shop.load()}

    assert outcomes == {"a.csv": "changed"} | {f"b{number}.csv": "loaded" for number in range(company)}
    assert len(shop.rows()) == company
    path.write_text(header + lines(1, 4))
    assert [outcome.status for outcome in shop.load() if outcome.file == "a.csv"] == ["loaded"]
    assert len(shop.rows()) == company + 4


def test_a_file_that_changed_before_it_was_examined_is_not_rejected(shop: Any, header: str):
    shop.put("a.csv", header)
    shop.put("b.csv", header)
    files = list_inbox(shop.raw, "orders")
    (shop.inbox / "a.csv").unlink()
    shop.put("b.csv", "half a hea")

    assert [outcome.status for outcome in shop.load(files)] == ["changed", "changed"]
    assert shop.connection.execute("select count(*) from ops.batches").fetchall() == [(0,)]


# Any order, any company


def test_order_and_grouping_do_not_matter(tmp_path: Path, orders: Dataset, header: str):
    inbox = tmp_path / "raw" / "orders"
    inbox.mkdir(parents=True)
    for number in range(12):
        (inbox / f"{number:02}.csv").write_text(header + lines(number * 5, 5))
    (inbox / "03.csv").write_text(header + lines(15, 2) + '17,"open,1,1,x\n18,never,1,1,x\n' + lines(19, 1))
    (inbox / "05.csv").write_bytes((header + lines(25, 3, "Zürich")).encode("cp1252"))
    (inbox / "07.csv").write_text("order_id;ordered_at;amount;f0_;shop\n35;2024-05-01;1;1;n\n")
    (inbox / "08.csv.gz").write_bytes(gzip.compress((header + lines(100, 5)).encode()))
    (inbox / "09.csv").write_text("unreadable\n")
    write_workbook(inbox / "10.xlsx")
    write_parquet_of_text(inbox / "11.parquet")
    write_parquet_of_types(inbox / "12.parquet")
    files = list_inbox(tmp_path / "raw", "orders")

    digests = set()
    for seed in range(6):
        chance = random.Random(seed)
        order = chance.sample(files, len(files))
        cuts = sorted(chance.sample(range(1, len(order)), seed))
        path = tmp_path / f"{seed}.duckdb"
        with open_warehouse(path, memory_limit="1GB", threads=2, lock_wait_seconds=0) as connection:
            prepare(connection, [orders])
            for start, end in zip([0, *cuts], [*cuts, len(order)], strict=True):
                load_files(connection, orders, order[start:end], NOW, lambda _: None)
                load_files(connection, orders, order[:end], NOW, lambda _: None)
            assert_books_balance(connection)
            digests.add(tuple(table_digest(connection, t) for t in ("raw.orders", "ops.batches", "ops.rejected_rows")))

    assert len(digests) == 1


def test_the_quarantined_text_is_the_text_of_the_record_reader(shop: Any, orders: Dataset, header: str):
    shop.put("a.csv", header + '1,2024-05-01,1,0,"two\r\nlines"\r\n\n"2",x,"1","1",""\n')
    shop.load()
    (file,) = list_inbox(shop.raw, "orders")
    layout = load.examine(file, orders).layout
    assert layout is not None

    assert [text for _, _, text in shop.rejected()] == [record.text for record in read_records(file, layout)]


def test_reading_goes_on_where_the_working_folder_is_another(shop: Any, header: str, monkeypatch: pytest.MonkeyPatch):
    shop.put("a.csv", header + lines(1, 1))
    shop.put("b.csv", header + lines(2, 1))
    monkeypatch.chdir(shop.raw.parent)
    files = list_inbox(Path(os.path.relpath(shop.raw)), "orders")

    assert [outcome.status for outcome in shop.load(files)] == ["loaded", "loaded"]
    assert len(shop.rows()) == 2
