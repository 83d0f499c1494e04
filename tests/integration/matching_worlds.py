"""Worlds for the tests of matching: small, with known truth, as relations of a connection."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import numpy as np
import pandas as pd

from quintet.conversions.candidates import MatchInput

START = 1_713_000_000
DATA = MatchInput("conversions", "broker_rows")
_COUNTRIES = ["US", "DE", "FR", "NL", "IN", "PL", "GB", "BR"]

Lags = Callable[[np.random.Generator, int], np.ndarray]


def seconds(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return lags of 0 to 3 seconds."""
    return rng.integers(0, 4, count)


def minutes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return lognormal lags of minutes."""
    return np.rint(rng.lognormal(np.log(360), 1.2, count)).astype(np.int64)


def make_world(
    conversions: int, days: int, seed: int, lags: Lags = seconds, partner: str = "one", offset_seconds: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return conversions and rows; nine conversions in ten have a row, whose id ends in the conversion's."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.integers(0, days * 86_400, conversions)) + START
    country = rng.choice(_COUNTRIES, conversions, p=[0.3, 0.2, 0.15, 0.1, 0.1, 0.05, 0.05, 0.05])
    conversion_id = np.arange(conversions) + seed * 1_000_000
    linked = rng.random(conversions) < 0.9
    own_at = at[linked] + lags(rng, int(linked.sum())) + offset_seconds
    return (
        pd.DataFrame(
            {"conversion_id": conversion_id, "country_iso2": country, "created_at": pd.to_datetime(at, unit="s")}
        ),
        pd.DataFrame(
            {
                "broker_row_id": [f"{partner}-{number}" for number in conversion_id[linked]],
                "partner": partner,
                "broker_at": pd.to_datetime(own_at, unit="s"),
                "residency_iso2": None,
                "ip_iso2": country[linked],
            }
        ),
    )


def open_world(conversions: pd.DataFrame, rows: pd.DataFrame) -> duckdb.DuckDBPyConnection:
    """Return a connection with the tables `conversions` and `broker_rows`."""
    connection = duckdb.connect()
    connection.execute("create table conversions (conversion_id bigint, country_iso2 varchar, created_at timestamp)")
    connection.execute(
        "create table broker_rows (broker_row_id varchar, partner varchar, broker_at timestamp, "
        "residency_iso2 varchar, ip_iso2 varchar)"
    )
    add_rows(connection, conversions, rows)
    return connection


def add_rows(connection: duckdb.DuckDBPyConnection, conversions: pd.DataFrame, rows: pd.DataFrame) -> None:
    """Insert a batch; existing rows stay unchanged."""
    connection.register("arrived", conversions)
    connection.register("new_rows", rows)
    connection.execute("insert into conversions from arrived anti join conversions as held using (conversion_id)")
    connection.execute("insert into broker_rows from new_rows anti join broker_rows as held using (broker_row_id)")
    connection.unregister("arrived")
    connection.unregister("new_rows")
