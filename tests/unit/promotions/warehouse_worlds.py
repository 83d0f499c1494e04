"""Warehouses with the accounts of a small world, on which models are trained and accounts scored."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

import duckdb
import pandas as pd
import pyarrow as pa

from quintet.domains import RECORDED
from quintet.ingest.raw_tables import prepare
from quintet.promotions.model_results import train_model
from quintet.promotions.models import registry_of
from quintet.promotions.policy import read_policy
from quintet.state.recorded import create_recorded
from quintet.warehouse.database import open_warehouse
from tests.unit.promotions.worlds import world as make_world

POLICY = read_policy()
AT = dt.datetime(2026, 1, 1)


class People(NamedTuple):
    """Users, their usages, and by user whether each is an abuser."""

    users: pd.DataFrame
    usages: pd.DataFrame
    is_abuser: pd.Series

    @property
    def abusers(self) -> int:
        return int(self.is_abuser.sum())


@cache
def people() -> People:
    """Return 800 users, a fifth of them abusers."""
    users, usages, truth = make_world(11, 800, abuser_share=0.2)
    return People(users, usages, truth["is_abuser"])


class World:
    """A warehouse with the accounts of a world, and its folder of models."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, models: Path) -> None:
        self.connection, self.models = connection, registry_of(models)

    def put(self, users: pd.DataFrame, usages: pd.DataFrame, is_abuser: pd.Series | None) -> None:
        """Replace the accounts; the labels are by user_id."""
        labels = users["user_id"].map(is_abuser) if is_abuser is not None else pd.Series([None] * len(users))
        rows = pa.Table.from_pandas(users.assign(is_abuser=labels.astype("boolean")), preserve_index=False)
        for name, table in (("users", rows), ("usages", pa.Table.from_pandas(usages))):
            self.connection.register("given", table)
            self.connection.execute(
                f"create or replace table intermediate.int_promo_{name}_current as select * from given"
            ).fetchall()
            self.connection.unregister("given")
        self.connection.execute(
            "create or replace view intermediate.int_promo_usages as from intermediate.int_promo_usages_current"
        )

    def train(self) -> str:
        """Train; return the active version."""
        return train_model(self.connection, self.models, POLICY, AT).model.version

    def frame(self, query: str) -> pd.DataFrame:
        """Return the rows of a query."""
        return self.connection.sql(query).df()


@contextmanager
def new_world(folder: Path) -> Iterator[World]:
    """Open a world without accounts in a folder."""
    with open_warehouse(folder / "warehouse.duckdb", memory_limit="1GB", threads=2, lock_wait_seconds=0) as opened:
        prepare(opened, [])
        create_recorded(opened, RECORDED)
        yield World(opened, folder / "models")
