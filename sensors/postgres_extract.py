"""A sensor for the application's database: written rows start a run."""

import dagster as dg

from assets.jobs import domain_selection
from assets.postgres_extract import ACTIVITY, SOURCE
from quintet.promotions.contract import DATASETS
from resources.postgres_extract import PostgresExtract

INTERVAL_SECONDS = 60


@dg.sensor(
    name="watch_source",
    target=domain_selection("promotions"),
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Extracts what changed in the application's PostgreSQL, if one is set.",
)
def extract_sensor(
    context: dg.SensorEvaluationContext, postgres_extract: dg.ResourceParam[PostgresExtract]
) -> dg.SensorResult | dg.SkipReason:
    """Request one run for all rows written since the last request."""
    if not postgres_extract.is_configured:
        return dg.SkipReason("no database is set (QUINTET_POSTGRES_URL)")
    activity = postgres_extract.activity(DATASETS)
    if activity in (context.cursor, _taken_activity(context.instance)):
        return dg.SkipReason("nothing was written to the tables")
    return dg.SensorResult(run_requests=[dg.RunRequest(tags={"source": "promotions"})], cursor=activity)


def _taken_activity(instance: dg.DagsterInstance) -> str | None:
    """Return the activity up to which the latest run extracted rows, by any trigger."""
    latest = instance.get_latest_materialization_event(SOURCE)
    if latest is None or latest.asset_materialization is None:
        return None
    taken = latest.asset_materialization.metadata.get(ACTIVITY)
    return None if taken is None else str(taken.value)


SENSORS = [extract_sensor]
