"""Publish the warehouse as a snapshot, the only file that readers open."""

from collections.abc import Sequence

import dagster as dg

from assets.facts import DAILY, REPORTS, owners_of
from assets.unfinished import domain_builds
from assets.versions import stale_assets, versions_of
from quintet.change_log.log import open_store
from quintet.settings import Settings
from quintet.shared_files import share_files
from quintet.shared_serving import share
from quintet.warehouse.database import PUBLISHED_SCHEMAS
from quintet.warehouse.publish import publish
from resources.clock import Clock
from resources.paths import Paths
from resources.warehouse import POOL, Warehouse


class Publication(dg.Config):
    """Configuration of a publication. accept_losses: publish what has lost tables, rows or files on purpose."""

    accept_losses: bool = False


SNAPSHOT = dg.AssetKey(["serving", "snapshot"])


def build_snapshot(assets: Sequence[dg.AssetsDefinition]) -> dg.AssetsDefinition:
    """Return the asset that publishes the tables of the published schemas.

    A domain whose build is not complete is published as it was before (`quintet.warehouse.publish`).

    assets: all other assets. If the current code built all assets upstream, the snapshot records its code version.
    """
    specs = [spec for asset in assets for spec in asset.specs]
    published = sorted(spec.key for spec in specs if spec.key.path[0] in PUBLISHED_SCHEMAS)
    recorded = sorted(spec.key for spec in specs if spec.key.path[0] == "ops")  # views show them without being rebuilt
    versions = versions_of(spec for spec in specs if spec.group_name != REPORTS)

    @dg.asset(
        key=SNAPSHOT,
        deps=[*published, *recorded],
        group_name="serving",
        description="The immutable file serving/current.duckdb, which API, pages and notebooks read.",
        owners=owners_of("serving"),
        kinds={"duckdb"},
        pool=POOL,
        freshness_policy=DAILY,
        check_specs=[
            dg.AssetCheckSpec(
                "every_domain_is_current", asset=SNAPSHOT, description="No domain is published as it was before."
            )
        ],
    )
    def snapshot(
        context: dg.AssetExecutionContext,
        config: Publication,
        warehouse: Warehouse,
        paths: Paths,
        clock: Clock,
        code: dg.ResourceParam[str],
        settings: dg.ResourceParam[Settings],
    ) -> dg.MaterializeResult:
        now = clock.now()
        builds = domain_builds(context.instance, specs)
        is_current = not stale_assets(versions, context.instance)
        with warehouse.get_connection() as connection:
            result = publish(
                connection,
                paths.serving,
                snapshot_id=f"{now:%Y%m%dT%H%M%S}-{context.run_id[:8]}",
                fingerprint=code if is_current else "",
                published_at=now,
                kept=warehouse.snapshots_kept,
                tables={".".join(key.path) for key in published},
                domains=builds,
                accept_losses=config.accept_losses,
            )
        if settings.serving_url is not None:
            store = open_store(settings.serving_url.get_secret_value(), seconds=60)
            share(store, result.path, result.rows, warehouse.snapshots_kept, config.accept_losses)
            share_files(settings, config.accept_losses)
        behind = [state for state in result.states if not state.is_current]
        return dg.MaterializeResult(
            check_results=[
                dg.AssetCheckResult(
                    passed=not any(state.has_failed for state in behind),
                    check_name="every_domain_is_current",
                    description="; ".join(state.sentence() for state in behind) or "every domain is up to date",
                    metadata={state.domain: state.sentence() for state in result.states},
                )
            ],
            metadata={
                "path": dg.MetadataValue.path(str(result.path)),
                "dagster/row_count": sum(result.rows.values()),
                "tables": len(result.rows),
                "bytes": result.bytes,
            },
        )

    return snapshot
