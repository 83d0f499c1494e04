"""Mapped titles and spellings: the file is loaded, a file of another shape is not, and what is taken back is gone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pandera.pandas as pa
import pytest

from quintet.ingest.batches import Outcome
from quintet.ingest.contract import Dataset, fold_header, integer, one_of
from quintet.ingest.inbox import list_inbox
from quintet.ingest.load import load_files
from quintet.ingest.mapping import FileMapping, Used, shape_of
from quintet.ingest.raw_tables import prepare
from quintet.ingest.unread import forget_read
from tests.unit.ingest.conftest import NOW, Shop

pytestmark = pytest.mark.usefixtures("balanced")

TITLES = ("order_id", "ordered_at", "amount", "number of pieces")
ROWS = "1,2024-05-01 10:00:00,2.5,7\n2,2024-05-01 11:00:00,3.5,8\n"
UNKNOWN = ",".join(TITLES) + "\n" + ROWS


def shape(*titles: str) -> str:
    return shape_of(map(fold_header, titles))


def mapping(column: str = "pieces", *titles: str) -> FileMapping:
    return FileMapping({shape(*(titles or TITLES)): {"number_of_pieces": column}})


def mapped(shop: Shop, found: FileMapping) -> Shop:
    return replace(shop, dataset=replace(shop.dataset, mapping=found))


def built(shop: Shop) -> int:
    ((count,),) = shop.connection.execute("select count(*) from ops.built").fetchall()
    return int(count)


def test_a_file_whose_title_is_mapped_is_loaded_and_its_batch_says_by_what(shop: Shop) -> None:
    shop.put("a.csv", UNKNOWN)
    assert [one.status for one in shop.load()] == ["rejected"]
    (again,) = mapped(shop, mapping()).load()

    assert (again.status, again.loaded) == ("loaded", 2)
    assert shop.rows("order_id, pieces, _extra") == [("1", "7", None), ("2", "8", None)]
    assert Used.from_json(again.mapping or "").columns == {"number of pieces": "pieces"}
    assert [one.status for one in mapped(shop, mapping()).load()] == ["known"]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2)])
def test_a_later_file_with_the_same_columns_in_any_order_is_loaded(shop: Shop, order: tuple[int, ...]) -> None:
    cells = "9", "2024-05-01 10:00:00", "1.5", "4"
    shop.put("b.csv", ";".join(TITLES[at] for at in order) + "\n" + ";".join(cells[at] for at in order) + "\n")
    mapped(shop, mapping()).load()

    assert shop.rows("order_id, pieces") == [("9", "4")]


def test_a_file_of_another_shape_is_not_read_by_the_mapping(shop: Shop) -> None:
    shop.put("c.csv", "order_id,ordered_at,amount,number of pieces,shop\n1,2024-05-01 10:00:00,2.5,7,x\n")

    assert [one.status for one in mapped(shop, mapping()).load()] == ["rejected"]


def test_a_mapping_that_is_taken_back_removes_the_rows_and_has_the_models_built_again(shop: Shop) -> None:
    shop.put("a.csv", UNKNOWN)
    shop.put("good.csv", "order_id,ordered_at,amount,pieces\n5,2024-05-01 10:00:00,2.5,7\n")
    mapped(shop, mapping()).load()
    shop.connection.execute("insert into ops.built values ('staging/stg_orders', '1')")
    statuses = {one.file: one for one in shop.load()}

    assert statuses["a.csv"].status == "rejected"
    assert Used.from_json(statuses["a.csv"].mapping or "").columns == {"number of pieces": "pieces"}
    (again,) = [one for one in shop.load() if one.file == "a.csv"]
    assert again.mapping == statuses["a.csv"].mapping, "a run after one that published nothing still knows why"
    assert statuses["good.csv"].status == "known"
    assert shop.rows("order_id") == [("5",)]
    assert built(shop) == 0


def test_what_is_not_mapped_at_all_is_left_alone_by_a_change_of_other_mappings(shop: Shop) -> None:
    shop.put("good.csv", "order_id,ordered_at,amount,pieces\n5,2024-05-01 10:00:00,2.5,7\n")
    shop.load()
    shop.connection.execute("insert into ops.built values ('staging/stg_orders', '1')")

    assert [one.status for one in mapped(shop, mapping()).load()] == ["known"]
    assert built(shop) == 1


def test_a_mapping_to_another_column_reads_the_file_again(shop: Shop) -> None:
    titles = ("order_id", "ordered_at", "number of pieces", "sum")
    shop.put("a.csv", ",".join(titles) + "\n1,2024-05-01 10:00:00,7,90\n")
    of_shape = shape(*titles)
    first = FileMapping({of_shape: {"number_of_pieces": "pieces", "sum": "amount"}})
    second = FileMapping({of_shape: {"number_of_pieces": "amount", "sum": "pieces"}})
    mapped(shop, first).load()
    assert shop.rows("amount, pieces") == [("90", "7")]
    mapped(shop, second).load()

    assert shop.rows("amount, pieces") == [("7", "90")]


def test_a_file_that_is_no_longer_in_the_inbox_stays_loaded_and_is_named(shop: Shop) -> None:
    path = shop.put("a.csv", UNKNOWN)
    mapped(shop, mapping()).load()
    path.unlink()
    said: list[str] = []
    load_files(shop.connection, shop.dataset, [], NOW, said.append)

    assert shop.rows("order_id") == [("1",), ("2",)]
    assert said == ["orders: the mapping of a.csv has changed; it stays as it is: drop it into the inbox to have it "
                    "read again"]  # fmt: skip


def test_rows_that_come_from_elsewhere_change_nothing_of_mapped_files(shop: Shop) -> None:
    shop.put("a.csv", UNKNOWN)
    mapped(shop, mapping()).load()
    said: list[str] = []
    files = list_inbox(shop.raw, "orders")
    outcomes = load_files(shop.connection, shop.dataset, files, NOW, said.append, is_inbox=False)

    assert [one.status for one in outcomes] == ["known"]
    assert said == []


LINES = Dataset(
    "orders",
    "shop",
    "Lines of business.",
    pa.DataFrameSchema({"order_id": integer("The order."), "line": one_of("The line.", ("CL", "PL"))}),
)


@pytest.fixture
def lines(shop: Shop) -> Shop:
    shop.connection.execute("drop table raw.orders")
    prepare(shop.connection, [LINES])
    return replace(shop, dataset=LINES)


def test_rows_with_a_mapped_spelling_are_loaded_and_gone_again_when_it_is_taken_back(lines: Shop) -> None:
    lines.put("a.csv", "order_id,line\n1,CL\n2, Personal (old) \n3,personal (OLD)\n4,other\n")
    (first,) = lines.load()
    assert (first.loaded, first.rejected) == (1, 3)
    (second,) = mapped(lines, FileMapping(spellings={"line": {"Personal (old)": "PL"}})).load()

    assert (second.loaded, second.rejected) == (3, 1)
    assert lines.rows("order_id, line") == [("1", "CL"), ("2", "PL"), ("3", "PL")]
    assert [row for row, *_ in lines.rejected()] == [4]
    assert json.loads(second.mapping or "")["spellings"] == {"line": {"Personal (old)": "PL"}}
    (third,) = lines.load()
    assert (third.loaded, third.rejected, third.mapping) == (1, 3, None)


def test_a_spelling_is_read_before_a_reason_that_names_no_column(lines: Shop) -> None:
    lines.put("a.csv", "order_id,line\n1,CL\n2,it's old\n")
    lines.load()
    lines.connection.execute("update ops.rejected_rows set reason = reason || '; the row is too long'")
    own = mapped(lines, FileMapping(spellings={"line": {"it's old": "PL"}}))

    assert [(one.status, one.loaded) for one in own.load()] == [("loaded", 2)]


def test_a_spelling_that_fits_no_row_reads_nothing_again(lines: Shop) -> None:
    lines.put("a.csv", "order_id,line\n1,CL\n2,other\n")
    lines.load()

    assert [one.status for one in mapped(lines, FileMapping(spellings={"line": {"oth": "PL"}})).load()] == ["known"]


def test_a_spelling_in_another_column_of_the_reason_reads_nothing_again(shop: Shop) -> None:
    both = replace(LINES, schema=pa.DataFrameSchema({**LINES.schema.columns, "side": one_of("The side.", ("A", "B"))}))
    shop.connection.execute("drop table raw.orders")
    prepare(shop.connection, [both])
    own = replace(shop, dataset=both)
    own.put("a.csv", "order_id,line,side\n1,foo,old\n")
    own.load()
    assert "not 'foo'; side must be one of A, B, not 'old'" in str(own.rejected()[0][1])

    assert [one.status for one in mapped(own, FileMapping(spellings={"line": {"old": "PL"}})).load()] == ["known"]
    assert [one.status for one in mapped(own, FileMapping(spellings={"side": {"old": "A"}})).load()] == ["loaded"]


@pytest.mark.parametrize(
    ("spelled", "given"),
    [("x" * 100, "x" * 80), ("can't say", "can"), ("foo", "\tfoo"), ("one; two", "one"), ("it's", "it's"), ("A", "a ")],
)
def test_rows_that_a_spelling_does_not_fit_are_not_read_again_by_every_run(
    lines: Shop, spelled: str, given: str
) -> None:
    lines.put("a.csv", f"order_id,line\n1,CL\n2,{spelled}\n")
    lines.load()
    own = mapped(lines, FileMapping(spellings={"line": {given: "PL"}}))
    (first,) = own.load()
    fits = spelled.lower() == given.lower().strip(" ")

    assert (first.status, len(lines.rows("order_id"))) == (("loaded", 2) if fits else ("known", 1))
    assert [one.status for one in own.load()] == ["known"]


def batches(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome.batch_id for outcome in outcomes]


def unread(shop: Shop) -> list[tuple[object, ...]]:
    return shop.connection.execute("select file, titles, lacking, first_rows from ops.unread_files").fetchall()


def test_a_rejected_file_leaves_its_header_and_first_rows_until_it_is_loaded_or_gone(shop: Shop) -> None:
    shop.put("a.csv", UNKNOWN)
    shop.load()
    rows = [line.split(",") for line in ROWS.splitlines()]
    assert unread(shop) == [("a.csv", list(TITLES), ["pieces"], rows)]
    forget_read(shop.connection, "orders", batches(shop.load()))
    assert len(unread(shop)) == 1
    forget_read(shop.connection, "orders", batches(mapped(shop, mapping()).load()))
    assert unread(shop) == []
    shop.put("b.csv", "x\n1\n")
    shop.load()
    forget_read(shop.connection, "orders", [])
    assert unread(shop) == []


def test_a_file_that_is_corrected_under_its_name_is_not_unread_any_more(shop: Shop) -> None:
    shop.put("a.csv", UNKNOWN)
    shop.put("b.csv", "x\n1\n")
    shop.load()
    shop.put("a.csv", "order_id,ordered_at,amount,pieces\n5,2024-05-01 10:00:00,2.5,7\n")
    forget_read(shop.connection, "orders", batches(shop.load()))

    assert [file for file, *_ in unread(shop)] == ["b.csv"]


def test_a_header_without_any_known_title_is_split_by_its_delimiter(shop: Shop) -> None:
    shop.put("a.csv", "nummer;zeit;summe\n1;2024;3\n")
    shop.load()

    assert unread(shop)[0][1] == ["nummer", "zeit", "summe"]
    assert unread(shop)[0][3] == [["1", "2024", "3"]]


@pytest.mark.parametrize("blank", ["\n", ",,\n"])
def test_blank_lines_are_no_first_rows(shop: Shop, blank: str) -> None:
    shop.put("a.csv", f"x,y,z\n{blank}1,2,3\n")
    shop.load()

    assert unread(shop)[0][3] == [["1", "2", "3"]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_first_rows_are_readable_in_every_encoding(shop: Shop, encoding: str) -> None:
    shop.put("a.csv", "größe;y\n1;é\n".encode(encoding))
    shop.load()

    assert unread(shop)[0][1] == ["größe", "y"]
    assert unread(shop)[0][3] == [["1", "é"]]


def test_a_file_that_cannot_be_split_leaves_only_its_message(shop: Shop) -> None:
    shop.put("a.xlsx", b"no workbook")
    shop.load()

    assert unread(shop) == [("a.xlsx", [], [], [])]
