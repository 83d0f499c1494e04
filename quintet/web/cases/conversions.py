"""The evidence of a pair: the conversion and the broker row side by side, and their likeliest rivals."""

from __future__ import annotations

import duckdb
import pandas as pd
from fastapi import Request

from quintet.cases.store import Case
from quintet.conversions.verdicts import pair_of
from quintet.presentation.design import Column, format_value
from quintet.web.cases.evidence import Evidence
from quintet.web.rendering import Table

_SIDE_BY_SIDE = (
    Column("what", "Field"),
    Column("conversion", "Conversion"),
    Column("row", "Broker row"),
)
_CONVERSION = """
    select strftime(created_at, '%Y-%m-%d %H:%M:%S'), country_iso2, country_iso2, session_id, page_category
    from marts.fct_conversions where conversion_id = ?
"""
_ROW = """
    select strftime(broker_at, '%Y-%m-%d %H:%M:%S'), ip_iso2, residency_iso2, partner,
        broker_source_file || ', row ' || broker_source_row
    from marts.fct_broker_rows where broker_row_id = ?
"""
_MATCH = """
    select tier, match_probability, runner_up_probability, lag_seconds from marts.fct_conversion_matches
    where conversion_id = ? and broker_row_id = ?
"""


def evidence(_: Request, case: Case, marts: duckdb.DuckDBPyConnection | None) -> Evidence:
    """Return the two rows of a pair, and how likely they belong together."""
    if marts is None:
        return Evidence(problem="Conversions are not published yet.")
    conversion_id, broker_row_id = pair_of(case.subject_id)
    conversion = marts.execute(_CONVERSION, [conversion_id]).fetchall()
    row = marts.execute(_ROW, [broker_row_id]).fetchall()
    if not conversion or not row:
        return Evidence(problem="The current snapshot has only one of the two rows, or neither.")
    labels = ("Time (UTC)", "Country", "Residency", "Session or partner", "Page or file")
    frame = pd.DataFrame({"what": labels, "conversion": conversion[0], "row": row[0]})
    frame.loc[2, "conversion"] = None  # a conversion has one country
    facts = {}
    for tier, likely, rival, lag in marts.execute(_MATCH, [conversion_id, broker_row_id]).fetchall():
        facts = {
            "Now": "matched" if tier == "matched" else "in review",
            "Probability": format_value(likely, "percent"),
            "Likeliest rival": format_value(rival, "percent"),
            "Time between": f"{lag:,} s",
        }
    return Evidence(facts, tables=[Table(frame, _SIDE_BY_SIDE, "The two rows", len(frame))])
