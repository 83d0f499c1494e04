"""Each kind of column accepts the right texts, and notebook (pandera) and loader (SQL) agree."""

from __future__ import annotations

import duckdb
import pandas as pd
import pandera.errors
import pandera.pandas as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quintet.domains import DATASETS
from quintet.ingest.contract import (
    Dataset,
    boolean,
    date,
    fold_header,
    hour,
    identifier,
    integer,
    minute_of_day,
    number,
    one_of,
    parsing_macros,
    text,
    timestamp,
    unix_seconds,
)
from quintet.warehouse.sql import quote_identifier, quote_literal

KINDS = {
    "integer": integer("", nullable=True),
    "small": integer("", 1, 12, nullable=True),
    "id": identifier(""),
    "device": identifier("", nullable=True),
    "seconds": unix_seconds("", 946_684_800, 4_102_444_799),
    "number": number("", nullable=True),
    "score": number("", missing=("#REF!",), nullable=True),
    "boolean": boolean("", nullable=True),
    "timestamp": timestamp("", nullable=True),
    "date": date("", nullable=True),
    "minute": minute_of_day("", nullable=True),
    "hour": hour("", nullable=True),
    "line": one_of("", ("CL", "P'L"), nullable=True),
    "text": text("", nullable=True),
}


def dataset_of(columns: dict[str, pa.Column], **more: object) -> Dataset:
    return Dataset("things", "shop", "", pa.DataFrameSchema(columns, name="things"), **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def sql() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("set global TimeZone = 'UTC'")
    connection.execute(parsing_macros())
    return connection


def reasons(connection: duckdb.DuckDBPyConnection, dataset: Dataset, row: dict[str, str | None]) -> str | None:
    """Return why a row breaks the contract, and assert that the cheap predicate agrees."""
    frame = pd.DataFrame({name: pd.Series([cell], dtype="str") for name, cell in row.items()})
    connection.register("row_at_hand", frame)
    ((why, broken),) = connection.execute(
        f"select {dataset.breaches_sql(list(row))}, {dataset.broken_sql(list(row))} from row_at_hand"
    ).fetchall()
    assert (why is not None) == bool(broken)
    return why


ACCEPTED = {
    "integer": ["5", "-5", "5.0", "+5", " 5 ", "9223372036854775807", "9007199254740993"],
    "small": ["1", "12", "12.0"],
    "id": ["5", "a b", "1E05", "2.5", "NA", "ü", " x "],
    "device": ["", " ", "1E05", "a\tb"],
    "seconds": ["946684800", "1709388870", "2024-03-02 14:14:30", "2024-03-02T14:14:30+02:00", "2000-01-01"],
    "number": ["5.7", "-0.5", "1e5", ".5", "5.", " 5.5"],
    "score": ["0", "#REF!"],
    "boolean": ["TRUE", "True", "true", "t", "1", "yes", "FALSE", "False", "f", "0", "no"],
    "timestamp": [
        *("2024-05-01 13:45:00", "2019-08-28 6:17:03", "2024-05-01 13:45:00.123456", "2024-05-01", "2024-05-01T13:45"),
        *("2024-05-01T13:45:00Z", "2024-05-01 13:45:00 UTC", "2024-05-01 13:45:00+02", "2024-05-01T13:45:00-05:30"),
        *("2024-02-29 00:00:00", "1900-01-01 00:00:00", "2199-12-31 23:59:59.999999"),
    ],
    "date": ["2024-05-01", "2024-5-1", "2024-02-29", "2024-05-01 00:00:00"],
    "minute": ["15h 07", "15:07", "00h 00", "23h 59", "6h 5", " 15h07 ", "00:01:00", "15:07:00.000"],
    "hour": ["00h", "08h", "23h", "8", "08:00", "08:00:00"],
    "line": ["CL", "P'L", "cl", " CL\u00a0"],
    "text": ["", " ", "'; drop table raw.things; --", "\u202e", "x" * 10_000],
}

REFUSED = {
    "integer": [
        "5.7",
        ".0",
        "99999999999999.9999",
        "5e3",
        "2.02400E+11",
        "1,234",
        "1_234",
        "0x10",
        "inf",
        "1e400",
        "9223372036854775808",
        "five",
        "",
        "--5",
        "٥",
    ],
    "small": ["0", "13", "-1", "1.5"],
    "id": ["2.02400E+11", "2,02400E+11", "1E+05", "1e+22", "", " ", "a\tb", "a\nb", "\x7f"],
    "device": ["2.02400E+11", " 1e+22"],
    "seconds": ["946684799", "1709388870000", "1999-12-31 23:59:59", "2100-01-01", "2024-02-30", "1.7E+09", "NA"],
    "number": ["1,234", "1_0.5", "inf", "-Infinity", "1e400", "5%", "$5", "#REF!", "1.5.5", ""],
    "score": ["#REF", "#ref!", "inf"],
    "boolean": ["2", "on", "maybe", "", "1.0"],
    "timestamp": [
        *("2024-02-30 10:00:00", "2023-02-29", "2024-05-01 25:00:00", "2024-05-01 23:59:60", "infinity", "epoch"),
        *("1714571100", "01.05.2024", "20240501", "1899-12-31 23:59:59", "2200-01-01 00:00:00", "now", ""),
        *("2024-05-01 1:45:00 PM", "2024-05-01 13:45:00 Europe/Berlin", "2024-05-01 13:45:00+99", "2024-05-01+02"),
        *("2024-05-01 12:00:00+02:30:30", "2199-12-31 23:59:59-05", "2024-05-01 13:45: P"),
    ],
    "date": ["2024-02-30", "2024-05-01 13:00:00", "infinity", "epoch", "20240501", "05/01/2024", "2024-05-01x", ""],
    "minute": ["24h 61", "24h 00", "15h 60", "15h", "1507", "-1h 07", "155h 07", "00:01:30", ""],
    "hour": ["24h", "-1h", "h", "08h 00", "08:30:00", ""],
    "line": ["C L", "CLX", "PL", ""],
}


@pytest.mark.parametrize(("kind", "cell"), [(kind, cell) for kind, cells in ACCEPTED.items() for cell in cells])
def test_a_kind_lets_through_what_it_can_read(sql: duckdb.DuckDBPyConnection, kind: str, cell: str):
    assert reasons(sql, dataset_of({kind: KINDS[kind]}), {kind: cell}) is None


@pytest.mark.parametrize(("kind", "cell"), [(kind, cell) for kind, cells in REFUSED.items() for cell in cells])
def test_a_kind_refuses_what_it_cannot_read(sql: duckdb.DuckDBPyConnection, kind: str, cell: str):
    why = reasons(sql, dataset_of({kind: KINDS[kind]}), {kind: cell})

    assert why is not None
    assert why.startswith(f"{kind} must be ")
    assert f"not '{cell}'" in why


@pytest.mark.parametrize("kind", ["integer", "id", "device"])
@pytest.mark.parametrize(("cell", "is_shortened"), [("2.02400E+11", True), ("a\tb", False)])
def test_a_number_that_a_spreadsheet_shortened_is_named_as_such(
    sql: duckdb.DuckDBPyConnection, kind: str, cell: str, is_shortened: bool
):
    why = reasons(sql, dataset_of({kind: KINDS[kind]}), {kind: cell}) or ""

    assert ("shortened by a spreadsheet" in why) == is_shortened


MISSING = ["NA", "n/a", "NaN", "null", "-", "#N/A", " NA "]
TYPED = {"integer": integer, "number": number, "boolean": boolean, "timestamp": timestamp, "date": date,
         "minute": minute_of_day, "hour": hour}  # fmt: skip


@pytest.mark.parametrize("kind", TYPED)
@pytest.mark.parametrize("cell", MISSING)
def test_a_text_for_a_missing_value_is_accepted_where_the_value_is_optional(
    sql: duckdb.DuckDBPyConnection, kind: str, cell: str
):
    optional, required = (dataset_of({kind: TYPED[kind]("", nullable=nullable)}) for nullable in (True, False))

    assert reasons(sql, optional, {kind: cell}) is None
    assert f"not '{cell}'" in (reasons(sql, required, {kind: cell}) or "")


def test_a_missing_text_does_not_stand_for_one_of_a_group(sql: duckdb.DuckDBPyConnection):
    columns = {"time": minute_of_day("", nullable=True, required=False), "at": text("", nullable=True, required=False)}
    dataset = dataset_of(columns, one_of_groups=(("time", "at"),))

    assert reasons(sql, dataset, {"time": "NA", "at": None}) == "time and at are empty but one of them is required"
    assert reasons(sql, dataset, {"time": "NA", "at": "x"}) is None


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("2024-05-01 13:45:00", "2024-05-01 13:45:00"),
        ("2019-08-28 6:17:03", "2019-08-28 06:17:03"),
        ("2024-05-01 13:45:00+02", "2024-05-01 11:45:00"),
        ("2024-05-01T01:00:00+05:30", "2024-04-30 19:30:00"),
        ("2024-05-01 13:45:00Z", "2024-05-01 13:45:00"),
        ("2024-05-01 13:45:00 UTC", "2024-05-01 13:45:00"),
    ],
)
def test_an_offset_is_turned_to_utc(sql: duckdb.DuckDBPyConnection, cell: str, value: str):
    assert sql.execute("select cast(contract.as_timestamp(?) as varchar)", [cell]).fetchall() == [(value,)]


@pytest.mark.parametrize(("cell", "value"), [("15h 07", 907), ("00:00", 0), ("23h 59", 1439)])
def test_a_minute_of_the_day_is_counted_from_midnight(sql: duckdb.DuckDBPyConnection, cell: str, value: int):
    assert sql.execute("select contract.as_minute_of_day(?)", [cell]).fetchall() == [(value,)]


def test_a_large_integer_keeps_its_last_digit(sql: duckdb.DuckDBPyConnection):
    assert sql.execute("select contract.as_integer('9007199254740993')").fetchall() == [(9007199254740993,)]


def test_an_empty_cell_breaks_a_required_column_alone(sql: duckdb.DuckDBPyConnection):
    dataset = dataset_of({"needed": integer(""), "spare": integer("", nullable=True)})

    assert reasons(sql, dataset, {"needed": None, "spare": None}) == "needed is empty but is required"
    assert reasons(sql, dataset, {"needed": "1", "spare": None}) is None


def test_every_reason_of_a_row_is_reported(sql: duckdb.DuckDBPyConnection):
    why = reasons(sql, dataset_of({"a": integer(""), "b": hour("")}), {"a": "x", "b": "24h"})

    assert why == "a must be a whole number, not 'x'; b must be an hour of the day like '08h' (00h to 23h), not '24h'"


def test_a_reason_quotes_eighty_characters_at_most(sql: duckdb.DuckDBPyConnection):
    why = reasons(sql, dataset_of({"a": integer("")}), {"a": "x" * 1_000_000})

    assert why == f"a must be a whole number, not '{'x' * 80}'"


def test_an_absent_optional_column_is_not_judged(sql: duckdb.DuckDBPyConnection):
    dataset = dataset_of({"a": integer(""), "b": integer("", required=False)})

    assert reasons(sql, dataset, {"a": "1"}) is None
    assert reasons(sql, dataset, {"a": "1", "b": None}) == "b is empty but is required"


def test_one_of_a_group_is_enough(sql: duckdb.DuckDBPyConnection):
    optional = text("", nullable=True, required=False)
    dataset = dataset_of({"time": optional, "timestamp": optional}, one_of_groups=(("time", "timestamp"),))

    assert reasons(sql, dataset, {"time": None, "timestamp": "x"}) is None
    assert reasons(sql, dataset, {"time": "x"}) is None


def test_none_of_a_group_breaks_the_contract(sql: duckdb.DuckDBPyConnection):
    optional = text("", nullable=True, required=False)
    dataset = dataset_of(
        {"time": optional, "timestamp": optional, "n": optional}, one_of_groups=(("time", "timestamp"),)
    )

    expected = "time and timestamp are empty but one of them is required"
    assert reasons(sql, dataset, {"time": None, "timestamp": None}) == expected
    assert reasons(sql, dataset, {"time": None}) == expected
    assert reasons(sql, dataset, {"n": "1"}) == expected


@pytest.mark.parametrize("odd", ["it's", 'a "quoted" one', "semi;colon--", "brace {0} {column}", "%s", "naïve", "a\nb"])
def test_odd_texts_are_quoted_as_identifier_and_literal(sql: duckdb.DuckDBPyConnection, odd: str):
    cursor = sql.execute(f"select {quote_literal(odd)} as {quote_identifier(odd)}")

    assert cursor.description[0][0] == odd
    assert cursor.fetchall() == [(odd,)]


@given(odd=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30))
@settings(deadline=None, max_examples=50)
def test_any_text_is_a_safe_literal(odd: str):
    assert duckdb.execute(f"select {quote_literal(odd)}").fetchall() == [(odd,)]


def test_a_column_with_an_odd_name_is_judged(sql: duckdb.DuckDBPyConnection):
    dataset = dataset_of({"we\"ird's": integer("")})

    assert reasons(sql, dataset, {"we\"ird's": "1"}) is None
    assert reasons(sql, dataset, {"we\"ird's": "x"}) == "we\"ird's must be a whole number, not 'x'"


def test_every_alias_and_every_spelling_leads_to_the_column():
    dataset = dataset_of({"count": integer("", aliases=("f0_", "F1")), "state_abbr": text("")})

    assert [dataset.aliases.get(fold_header(title)) for title in ("count", " COUNT ", "f0_", "f1", "F1")] == [
        "count"
    ] * 5
    assert dataset.aliases.get(fold_header("State Abbr")) == "state_abbr"
    assert dataset.aliases.get(fold_header("f2")) is None


@pytest.mark.parametrize("name", DATASETS)
def test_no_two_columns_of_a_real_contract_share_an_alias(name: str):
    dataset = DATASETS[name]
    titles = [title for c, column in dataset.schema.columns.items() for title in (c, *column.metadata["aliases"])]
    owners = {(fold_header(title), dataset.aliases[fold_header(title)]) for title in titles}

    assert len(owners) == len({folded for folded, _ in owners})


# Texts near the edge of every kind: a seed with up to two characters changed.
_SEEDS = sorted({cell for cells in (*ACCEPTED.values(), *REFUSED.values()) for cell in cells if len(cell) < 60})
_CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")


@st.composite
def nearly(draw: st.DrawFn) -> str:
    cell = draw(st.sampled_from(_SEEDS))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(cell)))
        cell = cell[:at] + draw(st.one_of(st.sampled_from("0159.,:-+ hZ#'\"\t"), _CHARACTERS)) + cell[at + 1 :]
    return cell


_CELLS = st.one_of(st.none(), nearly(), st.text(_CHARACTERS, max_size=12))
_ROWS = st.lists(st.tuples(*[_CELLS for _ in KINDS]), min_size=1, max_size=40)


@given(rows=_ROWS, nullable=st.booleans())
@settings(deadline=None, max_examples=12)
def test_notebook_and_loader_judge_every_cell_alike(rows: list[tuple[str | None, ...]], nullable: bool):
    columns = {
        name: pa.Column("str", checks=column.checks, nullable=nullable, metadata=column.metadata)
        for name, column in KINDS.items()
    }
    dataset = dataset_of(columns)
    frame = pd.DataFrame(rows, columns=list(KINDS), dtype="str")

    with duckdb.connect() as connection:
        connection.execute("set global TimeZone = 'UTC'")
        connection.execute(parsing_macros())
        verdicts = connection.execute(
            f"select {dataset.breaches_sql(dataset.columns)} is not null as because, "
            f"{dataset.broken_sql(dataset.columns)} as broken from frame"
        ).fetchdf()
    try:
        dataset.schema.validate(frame, lazy=True)
        failing = set()
    except pandera.errors.SchemaErrors as error:
        failing = set(error.failure_cases["index"])

    assert verdicts["because"].tolist() == verdicts["broken"].tolist()
    assert set(verdicts.index[verdicts["broken"]]) == failing
