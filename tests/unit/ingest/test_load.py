"""Files load in any order and grouping: each content once, each row either loaded or quarantined."""

from __future__ import annotations

import datetime as dt
import gzip
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quintet.ingest import load
from quintet.ingest.contract import Dataset
from quintet.ingest.inbox import list_inbox
from quintet.ingest.load import load_files
from quintet.ingest.raw_tables import prepare
from quintet.ingest.records import read_records
from quintet.warehouse.database import open_warehouse
from tests.digest import table_digest

NOW = dt.datetime(2024, 6, 1, 12)


def lines(first: int, count: int, note: str = "x") -> str:
    return "".join(f"{n},2024-05-01 10:00:00,{n}.5,{n % 100 + 1},{note}\n" for n in range(first, first + count))


def raw_digest(connection: duckdb.DuckDBPyConnection) -> str:
    return table_digest(connection, "raw.orders")


def assert_books_balance(connection: duckdb.DuckDBPyConnection) -> None:
    """Assert that every batch has the number of rows in its record."""
    off = connection.execute(
        "select batch_id from ops.batches as batches where rows != loaded + rejected "
        "or loaded != (select count(*) from raw.orders where _batch_id = batches.batch_id) "
        "or rejected != (select count(*) from ops.rejected_rows where batch_id = batches.batch_id)"
    ).fetchall()
    assert off == []


@pytest.fixture(autouse=True)
def _balanced(warehouse: duckdb.DuckDBPyConnection) -> Iterator[None]:
    yield
    assert_books_balance(warehouse)


# Rows and their numbers


def test_cells_are_kept_verbatim(shop: Any, header: str):
    shop.put("a.csv", header + '007,2024-05-01 6:07:03, 1.50 ,1.0,"  ""Hé"", she said\n"\n')

    (outcome,) = shop.load()

    assert (outcome.status, outcome.rows, outcome.loaded, outcome.rejected) == ("loaded", 1, 1, 0)
    assert shop.rows() == [("007", "2024-05-01 6:07:03", " 1.50 ", "1.0", '  "Hé", she said\n')]


@pytest.mark.parametrize(
    "payload",
    [
        "'; drop table raw.orders; --",
        'x" or 1=1; select * from "ops"."batches',
        "1;waitfor delay '0:0:15' --",
        "${jndi:ldap://x}",
        "{column} %s $1 ?",
        "=cmd|' /C calc'!A0",
        "\\N \\x00 \\u0000",
        "\u202e\u200b𝕏",
    ],
)
@pytest.mark.parametrize("amount", ["1", "not a number"])
def test_a_payload_is_carried_through_as_data(shop: Any, header: str, payload: str, amount: str):
    quoted = payload.replace('"', '""')
    shop.put(
        "a.csv", header + f'1,2024-05-01,{amount},1,"{quoted}"\n' + f"2,2024-05-01,1,1,{payload.replace(',', ' ')}\n"
    )

    (outcome,) = shop.load()

    texts = [str(row[-1]) for row in shop.rows() + shop.rejected()]
    assert outcome.rows == len(texts) == 2
    assert any(payload in text or quoted in text for text in texts)


def test_a_payload_in_a_title_or_a_name_is_carried_through(shop: Any):
    name = "a'; drop table raw.orders; --.csv"
    shop.put(name, "order_id,ordered_at,amount,pieces,x'); drop table ops.batches; --\n1,2024-05-01,1,1,y\n")
    shop.load()

    assert shop.rows("_source_file, _extra") == [(name, """{"x'); drop table ops.batches; --":"y"}""")]


def test_rows_of_a_large_file_are_numbered_in_its_order(shop: Any, header: str):
    shop.put("a.csv", header + lines(0, 300_000))
    shop.load()

    assert shop.connection.execute(
        "select count(*), min(_source_row), max(_source_row), count(*) filter (_source_row != order_id::bigint + 1) "
        "from raw.orders"
    ).fetchall() == [(300_000, 1, 300_000, 0)]


def test_rows_of_many_files_are_numbered_in_each_ones_order(shop: Any, header: str):
    for number in range(60):
        shop.put(f"{number:03}.csv", header + lines(number * 10_000, 1 + number * 50))
    shop.load()

    assert shop.connection.execute(
        "select count(*), count(*) filter (order_id::bigint != _source_file[:3]::bigint * 10000 + _source_row - 1) "
        "from raw.orders"
    ).fetchall() == [(60 + 50 * 59 * 30, 0)]


def test_blank_lines_have_no_number(shop: Any, header: str):
    shop.put("a.csv", header + "\n" + lines(1, 1) + "\n\n" + lines(2, 1))
    shop.load()

    assert shop.rows("order_id, _source_row") == [("1", 1), ("2", 2)]


# What breaks the contract


def test_a_row_that_breaks_the_contract_is_quarantined_with_reason_and_text(shop: Any, header: str):
    shop.put("a.csv", header + lines(1, 1) + '2,2024-02-30,"1,234",1,"it\'s"\n' + lines(3, 1))

    (outcome,) = shop.load()

    assert (outcome.rows, outcome.loaded, outcome.rejected) == (3, 2, 1)
    assert shop.rows("order_id, _source_row") == [("1", 1), ("3", 3)]
    assert shop.rejected() == [
        (
            2,
            "ordered_at must be a real date and time like 2024-05-01 13:45:00 (1900 to 2199), not '2024-02-30'; "
            "amount must be a number of at least 0 (a point for decimals, no thousands separator), not '1,234'",
            '2,2024-02-30,"1,234",1,"it\'s"',
        )
    ]


def test_a_row_that_breaks_the_contract_in_a_large_file_is_found_again(shop: Any, header: str):
    content = lines(0, 200_000).splitlines()
    content[150_000] = "150000,2024-05-01,1,0,x"
    shop.put("a.csv", header + "\n".join(content))

    (outcome,) = shop.load()

    assert (outcome.loaded, outcome.rejected) == (199_999, 1)
    assert [(row, text) for row, _, text in shop.rejected()] == [(150_001, "150000,2024-05-01,1,0,x")]


def test_rows_that_break_the_contract_are_found_in_many_files(shop: Any, header: str):
    for number in range(20):
        shop.put(f"{number:02}.csv", header + lines(1, number) + f"{number},never,1,1,x\n")

    outcomes = shop.load()

    assert [(outcome.loaded, outcome.rejected) for outcome in outcomes] == [(number, 1) for number in range(20)]
    assert [(row, text) for row, _, text in shop.rejected()] == [(n + 1, f"{n},never,1,1,x") for n in range(20)]


def test_a_file_of_only_broken_rows_is_quarantined_whole(shop: Any, header: str):
    shop.put("a.csv", header + "x,y,z,0,w\n" * 60_000)

    (outcome,) = shop.load()

    assert (outcome.status, outcome.rows, outcome.loaded, outcome.rejected) == ("loaded", 60_000, 0, 60_000)
    assert shop.rejected()[-1][0] == 60_000


def test_a_broken_row_affects_no_other_row_of_fifty_files(shop: Any, header: str):
    for number in range(50):
        shop.put(f"{number:02}.csv", header + lines(number * 10, 10))
    shop.put("25.csv", header + lines(250, 5) + '255,"never closed,1,1,x\n' + lines(256, 4))

    outcomes = shop.load()

    assert {outcome.status for outcome in outcomes} == {"loaded"}
    assert [outcome.file for outcome in outcomes if outcome.rejected] == ["25.csv"]
    assert len(shop.rows()) == 499
    assert shop.rejected() == [(6, "a quotation mark is opened and never closed", '255,"never closed,1,1,x')]


def test_a_spreadsheets_error_is_let_through_where_it_means_missing(shop: Any, header: str):
    shop.put("a.csv", header + "1,2024-05-01,#REF!,1,x\n2,2024-05-01,1,#REF!,x\n")
    shop.load()

    assert shop.rows("order_id, amount") == [("1", "#REF!")]


@pytest.mark.parametrize(
    ("line", "reason", "text"),
    [
        (b"2,2024-05-01,1,1,nul\0here", "the row holds a NUL byte", "2,2024-05-01,1,1,nul\\x00here"),
        (b"2,2024-05-01,1,1,caf\xe9", "the row holds bytes that are not UTF-8", "2,2024-05-01,1,1,caf\\xe9"),
    ],
)
def test_a_row_with_impossible_bytes_is_quarantined_alone(shop: Any, header: str, line: bytes, reason: str, text: str):
    shop.put("a.csv", header.encode() + lines(1, 1, "é").encode() + line + b"\n" + lines(3, 1).encode())
    shop.load()

    assert shop.rows("order_id, note") == [("1", "é"), ("3", "x")]
    assert shop.rejected() == [(2, reason, text)]


@pytest.mark.parametrize("at_last", [True, False])
def test_a_line_of_ten_megabytes_is_quarantined_alone(shop: Any, header: str, at_last: bool):
    long = "2,2024-05-01,1,1," + "x" * 10_000_000 + "\n"
    shop.put("a.csv", header + lines(1, 1) + (lines(3, 1) + long if at_last else long + lines(3, 1)))
    shop.load()

    assert shop.rows("order_id") == [("1",), ("3",)]
    ((_, reason, text),) = shop.rejected()
    assert reason == "the line is longer than 2,000,000 characters"
    assert len(text) == len(long) - 1


def test_a_long_row_is_kept_in_bulk_and_by_record_alike(shop: Any, header: str):
    long = "1,2024-05-01,1,1," + "x" * 1_900_000 + "\n"
    shop.put("bulk.csv", header + long)
    shop.put("record.csv", header + long + "too,few\n")
    shop.load()

    assert shop.rows("length(note)") == [(1_900_000,), (1_900_000,)]


# Encodings and formats


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_any_encoding_and_line_end_gives_the_same_cells(shop: Any, header: str, encoding: str, line_end: str):
    content = header + lines(1, 2, "Zürich")
    shop.put("a.csv", content.replace("\n", line_end).encode(encoding))
    shop.load()

    assert shop.rows("order_id, note, _source_row") == [("1", "Zürich", 1), ("2", "Zürich", 2)]


def test_a_guessed_encoding_is_reported(shop: Any, header: str):
    shop.put("a.csv", (header + lines(1, 1, "Zürich")).encode("cp1252"))

    (outcome,) = shop.load()

    assert outcome.message == "is not UTF-8; read as cp1252"


def test_utf16_that_was_cut_short_is_rejected_and_keeps_nothing(shop: Any, header: str):
    shop.put("a.csv", (header + lines(1, 50)).encode("utf-16")[:-1])
    shop.put("b.csv", header + lines(1, 1))

    outcomes = shop.load()

    assert [outcome.status for outcome in outcomes if outcome.file == "a.csv"] == ["rejected"]
    assert any("UTF-16 text that is damaged or cut short" in (outcome.message or "") for outcome in outcomes)
    assert shop.rows("_source_file") == [("b.csv",)]


def test_a_header_alone_is_loaded_as_no_rows_with_a_message(shop: Any, header: str):
    shop.put("a.csv", header)

    (outcome,) = shop.load()

    assert (outcome.status, outcome.rows, outcome.message) == ("loaded", 0, "has a header but no rows")


CELLS = [
    ("1", "2024-05-01 10:00:00", "1.5", "2", "Zürich"),
    ("2", "2024-05-02 11:30:00", None, "3", None),
    ("3", "2024-05-03 00:00:00", "0.25", "100", '  "quoted"  '),
]


def write_workbook(path: Path) -> None:
    workbook = openpyxl.Workbook()
    workbook.active.append(["order_id", "ordered_at", "amount", "pieces", "note"])
    for order_id, at, amount, pieces, note in CELLS:
        moment = dt.datetime.fromisoformat(str(at))
        workbook.active.append([int(str(order_id)), moment, amount and float(amount), int(str(pieces)), note])
    workbook.save(path)


def write_parquet_of_text(path: Path) -> None:
    columns = [[cell or "" for cell in column] for column in zip(*CELLS, strict=True)]
    pq.write_table(pa.table(columns, ["order_id", "ordered_at", "amount", "pieces", "note"]), path)


def write_parquet_of_types(path: Path) -> None:
    columns: Any = list(zip(*CELLS, strict=True))
    table = pa.table(
        {
            " Order ID ": [int(cell) for cell in columns[0]],
            "ordered_at": [dt.datetime.fromisoformat(cell) for cell in columns[1]],
            "amount": [cell and float(cell) for cell in columns[2]],
            "count": pa.array([int(cell) for cell in columns[3]], pa.int8()),
            "note": list(columns[4]),
        }
    )
    pq.write_table(table, path, row_group_size=2)


@pytest.mark.parametrize(
    ("name", "write"),
    [("a.xlsx", write_workbook), ("a.parquet", write_parquet_of_text), ("b.parquet", write_parquet_of_types)],
)
def test_other_formats_give_the_cells_of_the_csv(shop: Any, name: str, write: Callable[[Path], None]):
    write(shop.inbox / name)

    (outcome,) = shop.load()

    assert outcome.status == "loaded"
    assert shop.rows() == CELLS
    assert shop.rows("_source_row") == [(1,), (2,), (3,)]


def test_parquet_files_of_other_types_do_not_change_each_others_cells(shop: Any):
    columns = {"order_id": ["1"], "ordered_at": ["2024-05-01"], "pieces": ["1"]}
    for name, amount in {"a": pa.array([5]), "b": pa.array([5.5]), "c": pa.array(["#REF!"])}.items():
        pq.write_table(pa.table(columns | {"amount": amount, "note": [name]}), shop.inbox / f"{name}.parquet")

    shop.load()

    assert shop.rows("note, amount") == [("a", "5"), ("b", "5.5"), ("c", "#REF!")]


def test_a_parquet_column_may_bear_any_name(shop: Any):
    columns = {"order_id": ["1"], "ordered_at": ["2024-05-01"], "amount": ["1"], "pieces": ["1"]}
    pq.write_table(pa.table(columns | {"filename": ["f"], 'it\'s "odd"': ["o"]}), shop.inbox / "a.parquet")
    shop.load()

    assert shop.rows("_extra") == [('{"filename":"f","it\'s \\"odd\\"":"o"}',)]


def test_a_broken_row_of_a_parquet_file_is_quarantined_as_json(shop: Any):
    pq.write_table(
        pa.table({"order_id": [1, -1], "ordered_at": ["2024-05-01"] * 2, "amount": [1.5, None], "pieces": [1, 2]}),
        shop.inbox / "a.parquet",
    )
    shop.load()

    assert shop.rows("order_id") == [("1",)]
    ((row, _, text),) = shop.rejected()
    assert (row, text) == (2, '{"order_id":"-1","ordered_at":"2024-05-01","amount":null,"pieces":"2"}')


def test_a_parquet_file_with_damaged_pages_is_rejected_and_the_others_load(shop: Any):
    rows = 20_000
    for name in ("a", "b", "c"):
        table = pa.table({"order_id": range(rows), "ordered_at": ["2024-05-01"] * rows, "amount": [1] * rows,
                          "pieces": [1] * rows, "note": [f"{name}{n}" for n in range(rows)]})  # fmt: skip
        pq.write_table(table, shop.inbox / f"{name}.parquet")
    content = bytearray((shop.inbox / "b.parquet").read_bytes())
    content[1_000:60_000] = random.Random(1).randbytes(59_000)
    shop.put("b.parquet", bytes(content))

    outcomes = {outcome.file: outcome for outcome in shop.load()}

    assert {name: outcome.status for name, outcome in outcomes.items()} == {
        "a.parquet": "loaded",
        "b.parquet": "rejected",
        "c.parquet": "loaded",
    }
    assert outcomes["b.parquet"].message.startswith("b.parquet is not a readable Parquet file (")
    assert len(shop.rows()) == 2 * rows


def test_a_workbook_that_is_damaged_half_way_is_rejected_and_keeps_nothing(shop: Any):
    workbook = openpyxl.Workbook(write_only=True)
    sheet = workbook.create_sheet()
    sheet.append(["order_id", "ordered_at", "amount", "pieces", "note"])
    for number in range(3_000):
        sheet.append([number, "2024-05-01", 1, 1, f"{random.Random(number).random()}"])
    workbook.save(shop.inbox / "a.xlsx")
    content = bytearray((shop.inbox / "a.xlsx").read_bytes())
    content[40_000:40_010] = b"\xff" * 10
    shop.put("a.xlsx", bytes(content))

    (outcome,) = shop.load()

    assert outcome.status == "rejected"
    assert outcome.message.startswith("a.xlsx is not a readable workbook (")
    assert shop.rows() == shop.rejected() == []


def test_padding_after_a_gzip_stream_does_no_harm(shop: Any, header: str):
    shop.put("a.csv.gz", gzip.compress((header + lines(1, 2)).encode()) + b"\0" * 20)
    shop.put("b.csv.gz", gzip.compress((header + lines(3, 1)).encode()) + gzip.compress(lines(4, 1).encode()))
    shop.load()

    assert shop.rows("order_id") == [("1",), ("2",), ("3",), ("4",)]


# Columns


@pytest.mark.parametrize("title", ["f0_", "f1", "F1", "count", "Pieces"])
def test_an_alias_fills_its_column(shop: Any, title: str):
    shop.put("a.csv", f"{title},amount,order_id,ordered_at\n7,1,1,2024-05-01\n")
    shop.load()

    assert shop.rows() == [("1", "2024-05-01", "1", "7", None)]


def test_unknown_columns_are_kept_as_json(shop: Any):
    shop.put("a.csv", "order_id,shop,ordered_at,amount,pieces,till\n1,Zürich,2024-05-01,1,1,\n2,,2024-05-01,1,1,\n")
    shop.load()

    assert shop.rows("_extra") == [('{"shop":"Zürich","till":null}',), (None,)]


def test_files_of_different_layouts_load_together(shop: Any, header: str):
    shop.put("a.csv", header + lines(1, 1))
    shop.put("b.csv", "pieces;amount;ordered_at;order_id\n1;2;2024-05-01;2\n")
    shop.put("c.csv", "order_id\tordered_at\tamount\tcount\tnew\n3\t2024-05-01\t1\t1\tn\n")
    shop.load()

    assert shop.rows("order_id, pieces, _extra") == [("1", "2", None), ("2", "1", None), ("3", "1", '{"new":"n"}')]


# Names


NAMES = [
    "two words",
    "it's",
    'dou"ble',
    "a*b",
    "a?b",
    "a[1]",
    "]x[",
    "{a,b}",
    "back\\slash",
    "x=y",
    "#1%20",
    "-",
    "new\nline",
]


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
@pytest.mark.parametrize("company", [False, True])
def test_any_name_is_read_alone_and_in_company(shop: Any, header: str, ending: str, company: bool):
    for place, name in enumerate(NAMES):
        path = shop.inbox / f"{name}.{ending}"
        content = (header + lines(place, 1)).encode()
        if ending == "parquet":
            columns = {"order_id": [place], "ordered_at": ["2024-05-01"], "amount": [1], "pieces": [1], "note": [""]}
            pq.write_table(pa.table(columns), path)
        else:
            path.write_bytes(gzip.compress(content) if ending == "csv.gz" else content)
    files = list_inbox(shop.raw, "orders")

    for group in [files] if company else [[file] for file in files]:
        shop.load(group)

    found = dict(shop.rows("_source_file, order_id"))
    assert found == {f"{name}.{ending}": str(place) for place, name in enumerate(NAMES)}


def test_a_name_with_a_pattern_reads_that_file_alone(shop: Any, header: str):
    shop.put("a*.csv", header + lines(1, 1))
    shop.put("ab.csv", header + lines(2, 1))
    pattern, _ = list_inbox(shop.raw, "orders")
    shop.load([pattern])

    assert shop.rows("order_id") == [("1",)]


def test_a_folder_above_that_looks_like_a_partition_adds_no_column(tmp_path: Path, orders: Dataset, header: str):
    folder = tmp_path / "amount=5" / "[x]" / "orders"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text(header + lines(1, 1))
    (folder / "b.csv").write_text(header + lines(2, 1))
    with open_warehouse(tmp_path / "w2.duckdb", memory_limit="1GB", threads=1, lock_wait_seconds=0) as connection:
        prepare(connection, [orders])
        load_files(connection, orders, list_inbox(folder.parent, "orders"), NOW, lambda _: None)

        assert connection.execute("select amount from raw.orders order by 1").fetchall() == [("1.5",), ("2.5",)]


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
    stage, pending = load._stage_in_bulk, [how]

    def disturbed(*arguments: Any) -> str:
        while pending:
            pending.pop()()
        return stage(*arguments)

    monkeypatch.setattr(load, "_stage_in_bulk", disturbed)


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
