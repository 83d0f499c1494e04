"""Ingest what the service recorded into the warehouse: one step for the tables of each business, one for the rest."""

from collections.abc import Iterator, Sequence

import dagster as dg

from assets.facts import DAILY, owners_of
from assets.tables import columns_of_tables, table_facts
from quintet.code_version import code_version
from quintet.domains import DOMAINS, RECORDED
from quintet.settings import Settings
from quintet.state.recorded import RecordedTable, count_restarts, ingest_recorded
from resources.warehouse import POOL, Warehouse


def _key(table: RecordedTable) -> dg.AssetKey:
    return dg.AssetKey(["ops", table.name])


def build_recorded_assets(name: str, tables: Sequence[RecordedTable]) -> dg.AssetsDefinition:
    """Return the step that ingests the rows that the service has added to some tables since the last run.

    Any of the tables can be ingested alone. One step opens the warehouse once; a step for each table would open it for
    each, which takes longer than to ingest a few rows.
    """
    version = code_version("quintet.state.recorded")

    @dg.multi_asset(
        specs=[
            dg.AssetSpec(
                _key(table),
                group_name=table.group,
                description=table.description,
                owners=owners_of(table.group),
                kinds={"sql", "duckdb"},
                freshness_policy=DAILY,
                code_version=version,
                metadata={"dagster/table_name": f"ops.{table.name}"},
            )
            for table in tables
        ],
        name=name,
        pool=POOL,
        can_subset=True,
    )
    def recorded(
        context: dg.AssetExecutionContext, warehouse: Warehouse, settings: dg.ResourceParam[Settings]
    ) -> Iterator[dg.MaterializeResult]:
        with warehouse.get_connection() as connection:
            columns = columns_of_tables(connection)
            for table in tables:
                if _key(table) not in context.selected_asset_keys:
                    continue
                ingest_recorded(connection, table, settings.state)
                yield dg.MaterializeResult(
                    asset_key=_key(table),
                    metadata={
                        **table_facts(connection, columns, f"ops.{table.name}"),
                        "restarts of the numbering": count_restarts(connection, table),
                    },
                )

    return recorded


_OF_DOMAINS = {domain.name: domain.recorded for domain in DOMAINS if domain.recorded}
_SHARED = [table for table in RECORDED if not any(table in tables for tables in _OF_DOMAINS.values())]

RECORDED_ASSETS = [
    build_recorded_assets("ops_records", _SHARED),
    *(build_recorded_assets(f"ops_records_of_{domain}", tables) for domain, tables in _OF_DOMAINS.items()),
]
