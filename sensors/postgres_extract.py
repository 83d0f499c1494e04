"""A sensor for the application's database: written rows start a run."""

import dagster as dg

from assets.jobs import DOMAIN_JOBS
from assets.postgres_extract import ACTIVITY, SOURCE
from quintet.promotions.contract import DATASETS
from resources.clock import Clock
from resources.postgres_extract import PostgresExtract
from sensors.retries import failed_attempts, request_for

INTERVAL_SECONDS = 60


@dg.sensor(
    name="watch_source",
    job=DOMAIN_JOBS["promotions"],
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Extracts what changed in the application's PostgreSQL, if one is set.",
)
def extract_sensor(
    context: dg.SensorEvaluationContext, postgres_extract: dg.ResourceParam[PostgresExtract], clock: Clock
) -> dg.SensorResult | dg.SkipReason:
    """Request one run for all rows written since the last request."""
    if not postgres_extract.is_configured:
        return dg.SkipReason("no database is set (QUINTET_POSTGRES_URL)")
    activity = postgres_extract.activity(DATASETS)
    content, now = f"source {activity}", clock.now()
    is_requested = activity == context.cursor and not failed_attempts(context.instance, content, now)
    if is_requested or activity == _taken_activity(context.instance):
        return dg.SkipReason("nothing was written to the tables")
    request = request_for(context, content, now, {"source": "promotions"})
    return dg.SensorResult(run_requests=[] if request is None else [request], cursor=activity)


def _taken_activity(instance: dg.DagsterInstance) -> str | None:
    """Return the activity up to which the latest run extracted rows, by any trigger."""
    latest = instance.get_latest_materialization_event(SOURCE)
    if latest is None or latest.asset_materialization is None:
        return None
    taken = latest.asset_materialization.metadata.get(ACTIVITY)
    return None if taken is None else str(taken.value)


SENSORS = [extract_sensor]
