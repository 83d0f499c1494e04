"""Publish the warehouse as a snapshot, the only file that readers open."""

from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from assets.facts import DAILY, OWNERS, REPORTS
from assets.versions import stale_assets, versions_of
from quintet.warehouse.database import PUBLISHED_SCHEMAS
from quintet.warehouse.publish import publish
from resources.clock import Clock
from resources.warehouse import POOL, Warehouse

SNAPSHOT = dg.AssetKey(["serving", "snapshot"])


def build_snapshot(assets: Sequence[dg.AssetsDefinition]) -> dg.AssetsDefinition:
    """Return the asset that publishes the tables of the published schemas.

    assets: all other assets. If the current code built all assets upstream, the snapshot records its code version.
    """
    specs = [spec for asset in assets for spec in asset.specs]
    published = sorted(spec.key for spec in specs if spec.key.path[0] in PUBLISHED_SCHEMAS)
    versions = versions_of(spec for spec in specs if spec.group_name != REPORTS)

    @dg.asset(
        key=SNAPSHOT,
        deps=published,
        group_name="serving",
        description="The immutable file serving/current.duckdb, which API, pages and notebooks read.",
        owners=OWNERS,
        kinds={"duckdb"},
        pool=POOL,
        freshness_policy=DAILY,
    )
    def snapshot(
        context: dg.AssetExecutionContext, warehouse: Warehouse, clock: Clock, code: dg.ResourceParam[str]
    ) -> dg.MaterializeResult:
        now = clock.now()
        is_current = not stale_assets(versions, context.instance)
        with warehouse.get_connection() as connection:
            result = publish(
                connection,
                Path(warehouse.serving),
                snapshot_id=f"{now:%Y%m%dT%H%M%S}-{context.run_id[:8]}",
                fingerprint=code if is_current else "",
                published_at=now,
                kept=warehouse.snapshots_kept,
                tables={".".join(key.path) for key in published},
            )
        return dg.MaterializeResult(
            metadata={
                "path": dg.MetadataValue.path(str(result.path)),
                "dagster/row_count": sum(result.rows.values()),
                "tables": len(result.rows),
                "bytes": result.bytes,
            }
        )

    return snapshot
