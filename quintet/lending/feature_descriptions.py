"""Describe the features: their meaning, their code, and the distribution of their values."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Sequence

import duckdb
import pandas as pd

from quintet.lending.feature import Feature

COLUMNS = ["feature", "unit", "null_rule", "clients", "null_share", "median", "p95", "largest"]


def distribution(marts: duckdb.DuckDBPyConnection, known: Sequence[Feature]) -> pd.DataFrame:
    """Return a row for each feature with `COLUMNS`: clients, share of nulls, median, 95th percentile and maximum."""
    columns = {row[0] for row in marts.execute("describe marts.fct_client_features").fetchall()}
    parts = [
        f"select '{feature.name}' as feature, count(*) as clients, "
        f"avg(({feature.name} is null)::int) as null_share, quantile_cont({feature.name}, 0.5)::double as median, "
        f"quantile_cont({feature.name}, 0.95)::double as p95, max({feature.name})::double as largest "
        "from marts.fct_client_features"
        for feature in known
        if feature.name in columns
    ]
    words = pd.DataFrame([{"feature": f.name, "unit": f.unit, "null_rule": f.null_rule} for f in known])
    measured = marts.execute(" union all ".join(parts)).df()
    return words.merge(measured, on="feature", how="left")[COLUMNS]


def code_of(feature: Feature) -> str:
    """Return the source code of the feature's `apply` and `value`."""
    return "\n\n".join(inspect.getsource(part) for part in (feature.apply, feature.value))


def sql_of(feature: Feature) -> str:
    """Return the feature as plain SQL for one client and day."""
    return textwrap.dedent(feature.sql).strip()


def file_of(feature: Feature) -> str:
    """Return the feature's file, relative to the project's folder."""
    return f"{sys.modules[feature.apply.__module__].__name__.replace('.', '/')}.py"
