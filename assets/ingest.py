"""Load inboxes into raw tables: one asset for each dataset, all from one factory.

The assets differ only in their contract. A dataset that a domain declares gets its asset without a change here.
"""

import hashlib
from collections.abc import Iterator

import dagster as dg

from assets.facts import DAILY, check_result, column_schema, owners_of
from assets.postgres_extract import SOURCE, SOURCED
from assets.tables import described
from quintet.code_version import code_version
from quintet.domains import DATASETS
from quintet.ingest.batches import Outcome, batch_versions
from quintet.ingest.checks import CheckOutcome, check_reconciliation, check_schema
from quintet.ingest.contract import Dataset
from quintet.ingest.load import load_files
from quintet.ingest.unread import forget_read
from resources.clock import Clock
from resources.inboxes import Inboxes
from resources.warehouse import POOL, Warehouse

_DATA_VERSION = "dagster/data_version"
"""The tag in which Dagster reads the data version of an event."""

INBOXES = [
    dg.AssetSpec(
        key=["inbox", dataset.name],
        group_name=dataset.domain,
        description=f"Files dropped into data/raw/{dataset.name}. {dataset.description}",
        owners=owners_of(dataset.domain),
        kinds={"file"},
    )
    for dataset in DATASETS.values()
]

LEDGER = [
    dg.AssetSpec(
        key=["ops", table],
        group_name="ops",
        description=description,
        owners=owners_of("ops"),
        kinds={"duckdb"},
    )
    for table, description in {
        "batches": "Every file that was loaded or rejected, with its number of rows and its status.",
        "rejected_rows": "Every row that broke its contract, with the reason and its text.",
        "unread_files": "Every file of an inbox that could not be loaded, with its header and first rows.",
    }.items()
]
"""Tables that all ingest assets write to."""


def inbox_key(name: str) -> dg.AssetKey:
    """Return the asset key of an inbox."""
    return dg.AssetKey(["inbox", name])


def inbox_event(name: str, version: str) -> dg.AssetMaterialization:
    """Return the event that an inbox has a data version, which makes what is loaded from an older one stale.

    Dagster compares the versions of external assets by their materializations, not by observations.
    """
    return dg.AssetMaterialization(inbox_key(name), tags={_DATA_VERSION: version})


def raw_key(dataset_name: str) -> dg.AssetKey:
    """Return the asset key of a dataset's raw table."""
    return dg.AssetKey(["raw", dataset_name])


def build_ingest_asset(dataset: Dataset) -> dg.AssetsDefinition:
    """Return the asset that loads the files of a dataset's inbox into its raw table."""
    key = raw_key(dataset.name)

    @dg.asset(
        key=key,
        deps=[dg.AssetKey(["inbox", dataset.name]), *([SOURCE] if dataset.name in SOURCED else [])],
        group_name=dataset.domain,
        description=f"{dataset.description} The text of the files, verbatim, with batch, file and row.",
        owners=owners_of(dataset.domain),
        kinds={"duckdb"},
        pool=POOL,
        freshness_policy=DAILY,
        code_version=code_version("quintet.ingest.load", f"quintet.{dataset.domain}.contract"),
        metadata={"dagster/column_schema": column_schema(dataset), "dagster/table_name": f"raw.{dataset.name}"},
        check_specs=[
            dg.AssetCheckSpec("schema", asset=key, blocking=True, description="Columns and rows fit the contract."),
            dg.AssetCheckSpec(
                "reconciliation", asset=key, blocking=True, description="Rows read = rows loaded + rows rejected."
            ),
            dg.AssetCheckSpec("files_readable", asset=key, description="Every file of the inbox could be read."),
        ],
    )
    def ingest(
        context: dg.AssetExecutionContext, warehouse: Warehouse, inboxes: Inboxes, clock: Clock
    ) -> Iterator[dg.MaterializeResult]:
        files = inboxes.files(dataset.name)
        with warehouse.get_connection() as connection:
            outcomes = load_files(connection, inboxes.mapped(dataset), files, clock.now(), context.log.info)
            forget_read(connection, dataset.name, [outcome.batch_id for outcome in outcomes])
            facts = described(connection, [f"raw.{dataset.name}"])[f"raw.{dataset.name}"]
            batches = batch_versions(connection, dataset.name)
            checks = [
                check_result("schema", key, check_schema(connection, dataset)),
                check_result("reconciliation", key, check_reconciliation(connection, dataset)),
            ]
        for outcome in outcomes:
            if outcome.status in ("rejected", "changed"):
                context.log.warning(f"{outcome.dataset}/{outcome.file}: {outcome.message}")
        readable = check_result("files_readable", key, _judge_files(outcomes))._replace(
            severity=dg.AssetCheckSeverity.WARN
        )
        yield dg.MaterializeResult(
            asset_key=key,
            metadata={**facts, **_counts(outcomes)},
            check_results=[*checks, readable],
            data_version=dg.DataVersion(hashlib.sha256("\n".join(batches).encode()).hexdigest()[:16]),
        )

    return ingest


def _judge_files(outcomes: list[Outcome]) -> CheckOutcome:
    unread = [outcome for outcome in outcomes if outcome.status == "rejected"]
    if not unread:
        return CheckOutcome(True, "every file was read", {"files": len(outcomes)})
    return CheckOutcome(
        False, "; ".join(str(outcome.message) for outcome in unread)[:4000], {"files that were not read": len(unread)}
    )


def _counts(outcomes: list[Outcome]) -> dict[str, int]:
    return {
        "new files": sum(outcome.status == "loaded" for outcome in outcomes),
        "files already loaded": sum(outcome.status == "known" for outcome in outcomes),
        "rows read": sum(outcome.rows for outcome in outcomes),
        "rows loaded": sum(outcome.loaded for outcome in outcomes),
        "rows rejected": sum(outcome.rejected for outcome in outcomes),
    }


INGEST_ASSETS = [build_ingest_asset(dataset) for dataset in DATASETS.values()]
