"""What the service recorded is ingested in one step a business, and any of its tables alone."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from assets import records
from assets.records import RECORDED_ASSETS, build_recorded_assets
from quintet.domains import DOMAINS, RECORDED
from quintet.settings import Settings
from quintet.state.recorded import RecordedTable
from resources.warehouse import Warehouse

TABLES = [RecordedTable(name, "ops", f"The table {name}.", {"id": "bigint"}) for name in ("first", "second")]


def test_each_table_is_ingested_by_one_step() -> None:
    keys = sorted(key.to_user_string() for step in RECORDED_ASSETS for key in step.keys)
    assert keys == sorted(f"ops/{table.name}" for table in RECORDED)


def test_a_step_that_fails_concerns_one_business() -> None:
    owners = {table.name: domain.name for domain in DOMAINS for table in domain.recorded}
    shared = [{owners.get(key.path[-1]) for key in step.keys} for step in RECORDED_ASSETS]
    assert all(len(businesses) == 1 for businesses in shared), shared
    assert len(shared) == len({business for businesses in shared for business in businesses})


@pytest.mark.parametrize("chosen", [["first"], ["second"], ["first", "second"]])
def test_only_the_selected_tables_are_ingested(
    chosen: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingested: list[str] = []
    monkeypatch.setattr(records, "ingest_recorded", lambda _, table, __: ingested.append(table.name) or len(ingested))
    monkeypatch.setattr(records, "count_restarts", lambda *_: 0)
    warehouse = Warehouse(
        database=str(tmp_path / "warehouse.duckdb"),
        memory_limit="100MB",
        threads=1,
        lock_wait_seconds=1,
        snapshots_kept=1,
    )
    with warehouse.get_connection() as connection:
        for table in TABLES:
            connection.execute(f"create table {table.table} (id bigint)")
    keys = [dg.AssetKey(["ops", name]) for name in chosen]
    done = dg.materialize(
        [build_recorded_assets("ops_records", TABLES)],
        selection=dg.AssetSelection.assets(*keys),
        resources={"warehouse": warehouse, "settings": Settings()},
    )
    assert done.success
    assert ingested == chosen
    assert {event.asset_key for event in done.get_asset_materialization_events()} == set(keys)
