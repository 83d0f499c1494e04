"""Rows are read as text from each kind of file, with their numbers in it."""

from __future__ import annotations

import datetime as dt
import gzip
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pandera.pandas as pandera
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quintet.ingest.contract import Dataset, identifier, text
from quintet.ingest.inbox import list_inbox
from quintet.ingest.load import load_files
from quintet.ingest.raw_tables import prepare
from quintet.warehouse.database import open_warehouse
from tests.unit.ingest.order_files import (
    CELLS,
    lines,
    write_parquet_of_text,
    write_parquet_of_types,
    write_workbook,
)

NOW = dt.datetime(2024, 6, 1, 12)


pytestmark = pytest.mark.usefixtures("balanced")


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


# What spreadsheets and data frames do to ids and lines


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([100000.0, 7.0], "double", ["100000", "7"]),
        ([2.0**53 - 1, 7.0], "double", ["9007199254740991", "7"]),
        ([100000.0, 7.0], "float", ["100000", "7"]),
    ],
)
def test_whole_floats_of_a_parquet_file_are_whole_numbers(
    shop: Any, values: list[float], kind: str, expected: list[str]
):
    ids = pa.array([*values, None], pa.float64()).cast(kind)
    pq.write_table(
        pa.table({"order_id": ids, "ordered_at": ["2024-05-01"] * 3, "amount": ids, "pieces": [1] * 3, "note": ids}),
        shop.inbox / "a.parquet",
    )
    shop.load()

    assert shop.rows("order_id, amount, note") == [(text, text, text) for text in expected]
    assert [reason for _, reason, _ in shop.rejected()] == ["order_id is empty but is required"]


@pytest.mark.parametrize(("value", "kind"), [(2.0**53, "double"), (1e22, "double"), (2.0**24, "float")])
def test_a_float_that_may_be_another_id_is_quarantined(shop: Any, value: float, kind: str):
    columns = {"ordered_at": ["2024-05-01"], "amount": [value], "pieces": [1]}
    pq.write_table(
        pa.table({"order_id": pa.array([value], pa.float64()).cast(kind)} | columns), shop.inbox / "a.parquet"
    )
    shop.load()

    ((_, reason, _),) = shop.rejected()
    assert "shortened by a spreadsheet or a float column" in reason
    assert "amount" not in reason


def test_nan_of_a_parquet_file_is_missing_and_a_whole_decimal_has_no_zeros(shop: Any):
    columns = {"order_id": pa.array(["5.00"]).cast(pa.decimal128(12, 2)), "amount": [float("nan")], "pieces": [1]}
    pq.write_table(pa.table(columns | {"ordered_at": ["2024-05-01"]}), shop.inbox / "a.parquet")
    shop.load()

    assert shop.rows("order_id, amount") == [("5", None)]


@pytest.mark.parametrize("first", ["sep=;\n", "sep=;\r\n", '"sep=;"\n', "SEP=;\n", "\ufeffsep=;\n"])
@pytest.mark.parametrize("last", ["", "too;few\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_the_line_that_names_the_delimiter_to_excel_is_skipped(shop: Any, first: str, last: str, encoding: str):
    content = first + "order_id;ordered_at;amount;pieces\n1;2024-05-01;1;1\n" + last
    shop.put("a.csv", (content if encoding == "utf-8" else content.lstrip("\ufeff")).encode(encoding))
    shop.load()

    assert shop.rows("order_id, _source_row") == [("1", 1)]
    assert len(shop.rejected()) == bool(last)


@pytest.mark.parametrize("company", [0, 3])
@pytest.mark.parametrize("bad", ["", "too,few\n"])
def test_rows_of_nothing_but_delimiters_are_blank_lines(shop: Any, header: str, company: int, bad: str):
    shop.put("a.csv", header + ",,,,\n" + lines(1, 1) + ',,"",,\n,,,,note\n,,,,\n' + bad)
    for number in range(company):
        shop.put(f"b{number}.csv", header + lines(10 + number, 1))

    outcome = shop.load()[0] if not company else next(one for one in shop.load() if one.file == "a.csv")

    assert (outcome.rows, outcome.loaded, outcome.rejected) == (2 + bool(bad), 1, 1 + bool(bad))
    assert [row for row, _, _ in shop.rejected()] == [4, *([6] if bad else [])]


@pytest.mark.parametrize(
    ("written", "kept"), [("100000.0", "100000"), ("2.0", "2.0"), ("100000.00", "100000.00"), ("v1000.0", "v1000.0")]
)
def test_an_identifier_that_a_data_frame_wrote_as_a_float_is_kept_as_its_whole_number(
    tmp_path: Path, written: str, kept: str
):
    people = Dataset("people", "shop", "", pandera.DataFrameSchema({"id": identifier(""), "note": text("")}))
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "a.csv").write_text(f"id,note\n{written},{written}\n")
    with open_warehouse(tmp_path / "w2.duckdb", memory_limit="1GB", threads=1, lock_wait_seconds=0) as connection:
        prepare(connection, [people])
        load_files(connection, people, list_inbox(tmp_path, "people"), NOW, lambda _: None)

        assert connection.execute("select id, note from raw.people").fetchall() == [(kept, written)]
