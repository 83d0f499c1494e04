"""The summary of a run: figures of each dataset, and the problems that a person can still fix."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from quintet.ingest.mapping import Used
from quintet.settings import Settings, load_settings
from quintet.summary import DatasetFigures, dataset_figures, remarks


@pytest.fixture
def snapshot() -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a snapshot with one loaded file, `checkout_sales/good.csv`, and no problem."""
    with duckdb.connect() as connection:
        connection.execute("""
            create schema marts;
            create table marts.ops_batches (dataset text, file text, status text, "at" timestamp, message text,
                format text, rows bigint, loaded bigint, rejected bigint, mapping text);
            create table marts.ops_rejected_rows (dataset text, file text, reason text);
            create table marts.ops_conflicts (dataset text, key text, kept_file text);
        """)
        add(connection, "good.csv", "loaded")
        yield connection


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "raw" / "checkout_sales").mkdir(parents=True)
    put(tmp_path, "good.csv")
    return load_settings({"QUINTET_RAW": str(tmp_path / "raw"), "QUINTET_HOME": str(tmp_path)})


def put(folder: Path, name: str) -> None:
    (folder / "raw" / "checkout_sales" / name).write_text("time,today\n")


def add(
    connection: duckdb.DuckDBPyConnection, file: str, status: str, message: str | None = None, hour: int = 1
) -> None:
    """Add a batch of three rows, one of them rejected."""
    connection.execute(
        "insert into marts.ops_batches values "
        "('checkout_sales', ?, ?, timestamp '2024-01-01' + interval (?) hour, ?, 'csv', 3, 2, 1, null)",
        [file, status, hour, message],
    )


def lines(connection: duckdb.DuckDBPyConnection, settings: Settings) -> list[str]:
    return remarks(connection, settings, ["checkout_sales"])


def test_figures_add_the_loaded_batches_in_the_given_order(snapshot: duckdb.DuckDBPyConnection) -> None:
    add(snapshot, "more.csv", "loaded")
    add(snapshot, "bad.csv", "rejected", "no rows")

    assert dataset_figures(snapshot, ["transactions", "checkout_sales"]) == [
        DatasetFigures("transactions", 0, 0, 0, 0),
        DatasetFigures("checkout_sales", 2, 6, 4, 2),
    ]


def test_without_problems_there_are_no_remarks(snapshot: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    assert lines(snapshot, settings) == []


def test_an_empty_inbox_is_named_with_its_path(snapshot: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    (settings.raw / "checkout_sales" / "good.csv").unlink()

    assert lines(snapshot, settings) == [
        f"checkout_sales: no data; the inbox {settings.raw / 'checkout_sales'} is empty or missing"
    ]


def test_a_rejected_file_is_named_while_it_is_in_the_inbox(
    snapshot: duckdb.DuckDBPyConnection, settings: Settings, tmp_path: Path
) -> None:
    put(tmp_path, "bad.csv")
    add(snapshot, "bad.csv", "rejected", "bad.csv: column `at_06` is missing")
    add(snapshot, "gone.csv", "rejected", "gone.csv: no rows")

    assert lines(snapshot, settings) == ["checkout_sales: file not read: bad.csv: column `at_06` is missing"]


def test_a_file_that_was_corrected_is_named_no_more(
    snapshot: duckdb.DuckDBPyConnection, settings: Settings, tmp_path: Path
) -> None:
    put(tmp_path, "bad.csv")
    add(snapshot, "bad.csv", "rejected", "no rows", hour=1)
    add(snapshot, "bad.csv", "loaded", hour=2)
    assert lines(snapshot, settings) == []
    add(snapshot, "bad.csv", "rejected", "no rows", hour=3)

    assert lines(snapshot, settings) == ["checkout_sales: file not read: no rows"]


def test_a_doubtful_file_and_quarantined_rows_are_shown_with_an_example(
    snapshot: duckdb.DuckDBPyConnection, settings: Settings
) -> None:
    snapshot.execute("update marts.ops_batches set message = 'its days are ambiguous'")
    snapshot.execute("insert into marts.ops_rejected_rows select 'checkout_sales', 'good.csv', 'b' from range(1234)")

    assert lines(snapshot, settings) == [
        "checkout_sales: check good.csv: its days are ambiguous",
        "checkout_sales: 1,234 rows of good.csv quarantined in marts.ops_rejected_rows, such as: b",
    ]


def test_of_many_conflicts_ten_are_named_and_the_rest_counted(
    snapshot: duckdb.DuckDBPyConnection, settings: Settings
) -> None:
    snapshot.execute(
        "insert into marts.ops_conflicts select 'checkout_sales', 'day ' || n, 'b.csv' from range(10, 22) r(n)"
    )
    (line,) = lines(snapshot, settings)

    assert line.startswith("checkout_sales: files contradict each other on 12 keys; the later one holds: day 10 (from")
    assert "day 19 (from b.csv) and 2 more (all of them: marts.ops_conflicts)" in line
    assert "day 20" not in line


def test_a_file_that_is_read_by_a_mapping_is_named_with_what_is_mapped(
    snapshot: duckdb.DuckDBPyConnection, settings: Settings
) -> None:
    used = Used({"total": "today"}, {"kind": {"Personal": "PL"}}, "shape").to_json()
    snapshot.execute("update marts.ops_batches set mapping = ?", [used])

    assert lines(snapshot, settings) == [
        "checkout_sales: 1 file read as people mapped them, such as good.csv: 'total' is read as today and 'Personal' "
        "in kind is read as PL"
    ]
