"""Properties that the assets of all domains share: owners, freshness and column descriptions.

This module imports no other module of `assets`.
"""

import datetime as dt

import dagster as dg

from quintet.domains import DOMAIN_NAMES
from quintet.ingest.checks import CheckOutcome
from quintet.ingest.contract import Dataset


def owners_of(group: str) -> list[str]:
    """Return the owners of the assets of a group: the team of the business, or the data team for what all share."""
    return [f"team:{group if group in DOMAIN_NAMES else 'data'}"]


REPORTS = "reports"
"""The group of the files written from a snapshot. It belongs to no domain, because a snapshot needs all domains."""

DOMAIN_TAG = "quintet/domain"
"""The tag with the domain of a report."""

EVALUATIONS = "evaluations"
"""The folder in the models' folder for results that depend on the code alone."""

DAILY = dg.FreshnessPolicy.time_window(fail_window=dt.timedelta(hours=36), warn_window=dt.timedelta(hours=26))
"""Built at least once a day, with two hours of grace before a warning."""


def column_schema(dataset: Dataset) -> dg.TableSchema:
    """Return a dataset's raw columns with their descriptions, for the Dagster UI."""
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
    """Return the outcome of a check as a Dagster result."""
    return dg.AssetCheckResult(
        passed=outcome.passed,
        check_name=name,
        asset_key=asset_key,
        description=outcome.description,
        metadata=dict(outcome.figures),
    )
