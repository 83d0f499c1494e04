"""Small insurance marts for tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import duckdb
from hypothesis import strategies as st

from quintet.insurance.performance import AMOUNTS, COUNTS, MEASURES
from tests.dbt_models import compiled

MASTERS = {1: 7, 2: None, 3: 7, 4: None}
VENDORS = {1: "A", 2: None, 3: None, 4: "B"}

_ROW = {
    "agency_id": 1,
    "prod_abbr": "BOP",
    "state_abbr": "OH",
    "year": 2011,
    "months": 12,
    "prod_line": "CL",
    **dict.fromkeys(MEASURES, 0),
}
_TYPES = {
    "agency_id": "bigint",
    "prod_abbr": "varchar",
    "state_abbr": "varchar",
    "year": "integer",
    "months": "integer",
    "prod_line": "varchar",
    **dict.fromkeys(AMOUNTS, "decimal(18, 4)"),
    **dict.fromkeys(COUNTS, "bigint"),
    **{f"{name}_missing_reason": "varchar" for name in MEASURES},
    "missing_reasons": "varchar",
}


def marts_of(rows: Iterable[Mapping[str, Any]]) -> duckdb.DuckDBPyConnection:
    """Return a connection to the marts: rows as given, zero for other measures; None is missing as `not_reported`.

    The rows arrived in 2026. Complete years are those of the dbt models.
    """
    connection = duckdb.connect(config={"threads": 1})
    for schema in ("ops", "intermediate", "marts"):
        connection.execute(f"create schema {schema}")
    connection.execute(
        "create table ops.batches as select 'agency_performance' as dataset, timestamp '2026-03-01' as arrived_at"
    )
    columns = ", ".join(f"{name} {kind}" for name, kind in _TYPES.items())
    connection.execute(f"create table intermediate.int_agency_performance_current ({columns})")
    full = [_ROW | row for row in rows]
    for row in full:
        reasons = {f"{name}_missing_reason": "not_reported" for name in MEASURES if row[name] is None}
        values = reasons | row
        given = {name: values.get(f"{name}_missing_reason") for name in MEASURES}
        values["missing_reasons"] = ";".join(f"{name}:{why}" for name, why in given.items() if why) or None
        connection.execute(
            f"insert into intermediate.int_agency_performance_current values ({', '.join('?' * len(_TYPES))})",
            [values.get(name) for name in _TYPES],
        )
    connection.execute("create table marts.dim_agency (agency_id bigint, primary_agency_id bigint, vendor varchar)")
    for agency in {row["agency_id"] for row in full}:
        connection.execute(
            "insert into marts.dim_agency values (?, ?, ?)", [agency, MASTERS.get(agency), VENDORS.get(agency)]
        )
    for model in ("int_years", "int_complete_years"):
        connection.execute(f"create table intermediate.{model} as {compiled(model)}")
    connection.execute("create table marts.dim_year as from intermediate.int_years")
    connection.execute("""
        create table marts.fct_agency_performance as
        from intermediate.int_agency_performance_current
        join intermediate.int_complete_years using (agency_id, prod_abbr, state_abbr, year)
    """)
    return connection


_AMOUNT = st.none() | st.decimals(-100_000, 100_000, places=4).map(Decimal)
_COUNT = st.none() | st.integers(0, 5_000)

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "agency_id": st.sampled_from(list(MASTERS)),
            "prod_abbr": st.sampled_from(["BOP", "CYCLES  12", "=CYCLES", "é"]),
            "state_abbr": st.sampled_from(["OH", "IN"]),
            "year": st.integers(2005, 2008),
            "months": st.integers(1, 12),
            "prod_line": st.sampled_from(["CL", "PL"]),
            **dict.fromkeys(AMOUNTS, _AMOUNT),
            **dict.fromkeys(COUNTS, _COUNT),
        }
    ),
    max_size=25,
    unique_by=lambda row: (row["agency_id"], row["prod_abbr"], row["state_abbr"], row["year"]),
)
"""Rows of the fact with some figures missing, unique by its key."""
