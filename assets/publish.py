"""From warehouse to snapshot: the asset that everybody else reads."""

from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from assets.facts import DAILY, OWNERS
from quintet.warehouse.ledger import build_fingerprint
from quintet.warehouse.publish import publish
from resources.clock import Clock
from resources.warehouse import POOL, Warehouse

SNAPSHOT = dg.AssetKey(["serving", "snapshot"])


def build_snapshot(published: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    """The snapshot of the given tables."""

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
    def snapshot(context: dg.AssetExecutionContext, warehouse: Warehouse, clock: Clock) -> dg.MaterializeResult:
        now = clock.now()
        with warehouse.get_connection() as connection:
            result = publish(
                connection,
                Path(warehouse.serving),
                snapshot_id=f"{now:%Y%m%dT%H%M%S}-{context.run_id[:8]}",
                fingerprint=build_fingerprint(connection) or "",
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
