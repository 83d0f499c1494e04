"""The analysis as tables: made once in a run, read by pages, papers and routes.

Belongs here: writing what `insights.py` finds to the warehouse and reading it back from a snapshot. What is counted and
said stands in `insights.py`.
"""

from __future__ import annotations

from dataclasses import asdict, fields

import duckdb
import pandas as pd

from quintet.conversions.insights import Analysis, Insight, analyse
from quintet.warehouse.database import transaction
from quintet.warehouse.snapshot import records

FRAMES = tuple(field.name for field in fields(Analysis) if field.name != "insights")

TABLES = tuple(f"ml.conversion_{name}" for name in (*FRAMES, "insights"))

_INSIGHT_TYPES = {field.name: "float64" if field.name == "q_value" else "str" for field in fields(Insight)}


def write_analysis(connection: duckdb.DuckDBPyConnection) -> Analysis:
    """Analyse the marts and replace `TABLES`, all of them or none. connection: to the warehouse."""
    analysis = analyse(connection)
    sentences = pd.DataFrame([asdict(insight) for insight in analysis.insights], columns=list(_INSIGHT_TYPES))
    frames = {name: getattr(analysis, name) for name in FRAMES} | {"insights": sentences.astype(_INSIGHT_TYPES)}
    with transaction(connection):
        for name, frame in frames.items():
            connection.register("frame", frame.reset_index(drop=True).reset_index(names="place"))
            connection.execute(f"create or replace table ml.conversion_{name} as from frame")
            connection.unregister("frame")
    return analysis


def read_analysis(cursor: duckdb.DuckDBPyConnection) -> Analysis:
    """What `write_analysis` wrote, from a snapshot."""
    return Analysis(
        **{name: read_frame(cursor, name) for name in FRAMES},
        insights=tuple(
            Insight(**row)
            for row in records(cursor.execute("select * exclude (place) from ml.conversion_insights order by place"))
        ),
    )


def read_frame(cursor: duckdb.DuckDBPyConnection, name: str) -> pd.DataFrame:
    """One of `FRAMES`, in its order."""
    return cursor.execute(f"select * exclude (place) from ml.conversion_{name} order by place").df()
