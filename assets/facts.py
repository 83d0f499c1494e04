"""What assets of all domains share: owners, freshness, and how a table is described to Dagster.

A leaf of this wing: it imports no other module of it.
"""

import datetime as dt

import dagster as dg

from quintet.warehouse.checks import CheckOutcome
from quintet.warehouse.contract import Dataset

OWNERS = ["team:data"]

REPORTS = "reports"
"""The group of what is written from a snapshot; not a domain's own, because a snapshot needs all domains."""

DOMAIN_TAG = "quintet/domain"
"""The tag that says which domain a report belongs to."""

EVALUATIONS = "evaluations"
"""The folder, below that of the models, of what depends on the code alone."""

DAILY = dg.FreshnessPolicy.time_window(fail_window=dt.timedelta(hours=36), warn_window=dt.timedelta(hours=26))
"""Built at least once a day, with two hours of grace before a warning."""


def column_schema(dataset: Dataset) -> dg.TableSchema:
    """A dataset's raw columns with their descriptions, for the Dagster UI."""
    columns = [
        dg.TableColumn(
            name,
            "varchar",
            description=column.description,
            constraints=dg.TableColumnConstraints(nullable=bool(column.nullable)),
        )
        for name, column in dataset.schema.columns.items()
    ]
    provenance = {
        "_extra": "Unknown columns of the file, as JSON.",
        "_batch_id": "The batch: the start of the hash of the file's content.",
        "_source_file": "The file's name.",
        "_source_row": "The row's number in the file, from 1.",
    }
    return dg.TableSchema(columns + [dg.TableColumn(name, description=text) for name, text in provenance.items()])


def check_result(name: str, asset_key: dg.AssetKey, outcome: CheckOutcome) -> dg.AssetCheckResult:
    """A check's outcome as Dagster records it."""
    return dg.AssetCheckResult(
        passed=outcome.passed,
        check_name=name,
        asset_key=asset_key,
        description=outcome.description,
        metadata=dict(outcome.figures),
    )
