"""A snapshot has a table for each published asset, and no other table."""

from __future__ import annotations

import duckdb
import pytest

from definitions import build_defs
from quintet.warehouse.database import PUBLISHED_SCHEMAS
from quintet.warehouse.snapshot import current_snapshot, open_snapshot

OWN = {"marts.snapshot", "marts.ops_domains"}
"""The tables in which a snapshot describes itself."""


@pytest.fixture
def snapshot(built_home):
    with open_snapshot(current_snapshot(built_home / "serving")) as opened:
        yield opened


def tables_of(snapshot: duckdb.DuckDBPyConnection) -> set[str]:
    rows = snapshot.execute("select table_schema || '.' || table_name from information_schema.tables").fetchall()
    return {name for (name,) in rows}


def published_assets() -> set[str]:
    specs = build_defs().resolve_all_asset_specs()
    return {".".join(spec.key.path) for spec in specs if spec.key.path[0] in PUBLISHED_SCHEMAS}


def test_every_table_of_the_snapshot_is_an_asset_and_the_other_way_round(snapshot):
    assert tables_of(snapshot) - OWN == published_assets()


def test_a_view_of_the_snapshot_reads_the_snapshot_alone(snapshot):
    views = snapshot.execute(
        "select table_schema || '.' || table_name from information_schema.tables where table_type = 'VIEW'"
    ).fetchall()
    assert "marts.fct_payment_points" in {view for (view,) in views}
    rows = {view: snapshot.execute(f"select count(*) from {view}").fetchall()[0][0] for (view,) in views}
    assert rows["marts.fct_payment_points"] > 0
    assert (
        rows["marts.fct_payment_points"] == snapshot.execute("select count(*) from ml.payment_points").fetchall()[0][0]
    )
