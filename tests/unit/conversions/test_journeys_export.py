import csv

import duckdb
import pytest

from quintet.conversions.journeys_export import write_journeys
from tests.unit.conversions.journeys import make_journeys, open_snapshot

PAYLOADS = ["=1+1", "+1", "-1", "@x", "\t=1", "＝1", "x'; drop table a; --", 'say "a", b\nand c', "plain"]


def snapshot(count: int = 200) -> duckdb.DuckDBPyConnection:
    conversions = make_journeys(count, 1)
    conversions["ui_element"] = [PAYLOADS[place % len(PAYLOADS)] for place in range(count)]
    return open_snapshot(conversions)


def meanings(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    described = connection.execute("describe marts.fct_unified_journeys").fetchall()
    return {name: f"What {name} means." for name, *_ in described}


def test_the_parquet_file_has_every_journey_unchanged(tmp_path):
    connection = snapshot()
    parquet, *_ = write_journeys(connection, tmp_path, meanings(connection))
    journeys = connection.execute("from marts.fct_unified_journeys order by conversion_id").fetchall()
    assert connection.execute(f"from '{parquet}'").fetchall() == journeys


def test_no_text_of_the_csv_is_a_formula_and_none_is_lost(tmp_path):
    connection = snapshot()
    _, path, _ = write_journeys(connection, tmp_path, meanings(connection))
    with path.open(newline="", encoding="utf-8") as file:
        elements = [row["ui_element"] for row in csv.DictReader(file)]
    expected = [f"'{text}" if text[0] in "=+-@\t＝" else text for text in PAYLOADS]
    assert elements[: len(PAYLOADS)] == expected
    assert len(elements) == 200


def test_the_same_journeys_give_the_same_bytes_in_any_order_with_any_number_of_threads(tmp_path):
    one, other = snapshot(), snapshot()
    one.execute("set threads = 1")
    other.execute("create table shuffled as from marts.fct_unified_journeys order by hash(conversion_id)")
    other.execute("create or replace table marts.fct_unified_journeys as from shuffled")
    first = write_journeys(one, tmp_path / "one", meanings(one))
    second = write_journeys(other, tmp_path / "other", meanings(other))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    other.execute("update marts.fct_unified_journeys set is_mobile = not is_mobile where conversion_id = 1")
    changed = write_journeys(other, tmp_path / "changed", meanings(other))
    assert first[0].read_bytes() != changed[0].read_bytes()


def test_the_dictionary_describes_each_column(tmp_path):
    connection = snapshot()
    *_, path = write_journeys(connection, tmp_path, meanings(connection))
    with path.open(newline="", encoding="utf-8") as file:
        rows = {row["column"]: row for row in csv.DictReader(file)}
    assert list(rows) == list(meanings(connection))
    assert rows["conversion_id"] == {
        "column": "conversion_id",
        "type": "BIGINT",
        "meaning": "What conversion_id means.",
        "rows_filled": "200",
        "distinct_values": "200",
    }


@pytest.mark.parametrize("change", [{"is_mobile": " "}, {"is_gone": "Of a column that is gone."}])
def test_a_dictionary_that_does_not_fit_the_table_is_rejected(tmp_path, change):
    connection = snapshot()
    with pytest.raises(ValueError, match=next(iter(change))):
        write_journeys(connection, tmp_path, meanings(connection) | change)
    assert not list(tmp_path.iterdir())


def test_without_journeys_the_files_have_their_columns(tmp_path):
    connection = open_snapshot(make_journeys(1, 1).head(0))
    _, path, _ = write_journeys(connection, tmp_path, meanings(connection))
    assert path.read_text("utf-8").strip().startswith("conversion_id,session_id")
