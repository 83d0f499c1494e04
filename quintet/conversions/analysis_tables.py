"""The analysis as tables: written once per run, read by pages, reports and routes.

dbt counts (`frames.COUNTED`, `frames.COUNTS`); this module writes the results computed from the counts, and reads the
whole analysis from a snapshot.
"""

from __future__ import annotations

from dataclasses import asdict, fields

import duckdb
import pandas as pd

from quintet.conversions.analysis import Analysis, analyse
from quintet.conversions.frames import COUNTED, COUNTS
from quintet.conversions.insights import Insight
from quintet.warehouse.database import transaction
from quintet.warehouse.snapshot import records

FRAMES = tuple(field.name for field in fields(Analysis) if field.name != "insights")

COMPUTED = tuple(name for name in FRAMES if name not in COUNTED)

TABLES = tuple(f"ml.conversion_{name}" for name in (*COMPUTED, "insights"))
"""The tables that `write_analysis` writes; dbt writes the other frames."""

_INSIGHT_TYPES = {field.name: "float64" if field.name == "q_value" else "str" for field in fields(Insight)}


def write_analysis(connection: duckdb.DuckDBPyConnection) -> Analysis:
    """Analyse the counts and replace `TABLES` in one transaction. connection: to the warehouse."""
    analysis = analyse({name: read_frame(connection, name) for name in (*COUNTED, *COUNTS)})
    sentences = pd.DataFrame([asdict(insight) for insight in analysis.insights], columns=list(_INSIGHT_TYPES))
    frames = {name: getattr(analysis, name) for name in COMPUTED} | {"insights": sentences.astype(_INSIGHT_TYPES)}
    with transaction(connection):
        for name, frame in frames.items():
            connection.register("frame", frame.reset_index(drop=True).reset_index(names="place"))
            connection.execute(f"create or replace table ml.conversion_{name} as from frame")
            connection.unregister("frame")
    return analysis


def read_analysis(cursor: duckdb.DuckDBPyConnection) -> Analysis:
    """Return the analysis of a snapshot."""
    return Analysis(
        **{name: read_frame(cursor, name) for name in FRAMES},
        insights=read_insights(cursor),
    )


def read_insights(cursor: duckdb.DuckDBPyConnection) -> tuple[Insight, ...]:
    """Return the sentences of a snapshot in their order."""
    rows = records(cursor.execute("select * exclude (place) from ml.conversion_insights order by place"))
    return tuple(Insight(**row) for row in rows)


def read_frame(cursor: duckdb.DuckDBPyConnection, name: str) -> pd.DataFrame:
    """Return a table `ml.conversion_*` in its stored order."""
    return cursor.execute(f"select * exclude (place) from ml.conversion_{name} order by place").df()
