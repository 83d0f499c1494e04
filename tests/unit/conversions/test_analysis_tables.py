"""The analysis as tables: written and read back."""

from __future__ import annotations

import duckdb
import pandas as pd

from quintet.conversions import analysis_tables
from quintet.conversions.analysis import Analysis
from quintet.conversions.analysis_tables import FRAMES, TABLES, read_analysis, write_analysis
from quintet.conversions.frames import COUNTED, COUNTS
from quintet.conversions.insights import Insight


def analysis_of(frame: pd.DataFrame, *insights: Insight) -> Analysis:
    return Analysis(**dict.fromkeys(FRAMES, frame), insights=insights)


def warehouse_with(frame: pd.DataFrame) -> duckdb.DuckDBPyConnection:
    """Return a connection to the counted tables, each with the rows of `frame`."""
    connection = duckdb.connect()
    connection.execute("create schema ml")
    connection.register("counted", frame.reset_index(names="place"))
    for name in (*COUNTED, *COUNTS):
        connection.execute(f"create table ml.conversion_{name} as from counted")
    return connection


def test_an_analysis_is_read_back_in_its_order(monkeypatch):
    frame = pd.DataFrame({"level": ["b", None, "a"], "n": [3, 2, 1], "mean": [0.5, None, 1 / 3]})
    insights = (Insight("quality", "3", "are found.", "Do.", 0.01), Insight("data", "1", "was counted."))
    monkeypatch.setattr(analysis_tables, "analyse", lambda _: analysis_of(frame, *insights))
    connection = warehouse_with(frame)
    write_analysis(connection)

    found = read_analysis(connection)

    assert found.insights == insights
    for name in FRAMES:
        pd.testing.assert_frame_equal(getattr(found, name), frame, check_dtype=False)


def test_a_second_run_replaces_the_first_even_without_findings(monkeypatch):
    frame = pd.DataFrame({"n": [1]})
    connection = warehouse_with(frame)
    for insights in ((Insight("data", "1", "was counted."),), ()):
        monkeypatch.setattr(analysis_tables, "analyse", lambda _, found=insights: analysis_of(frame, *found))
        write_analysis(connection)

    assert read_analysis(connection).insights == ()
    assert all(connection.execute(f"from {table}").fetchall() == [(0, 1)] for table in TABLES[:-1])
