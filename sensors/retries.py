"""Request a run again if it failed, after a pause that grows, instead of leaving its input to the daily schedule.

A run that a sensor requests carries a tag with what it is requested for; the runs with this tag are its attempts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import dagster as dg

CONTENT_TAG = "quintet/content"
"""The tag of a requested run: what it is to load, such as a hash over new files."""

PAUSES = tuple(dt.timedelta(minutes=minutes) for minutes in (1, 4, 16, 64, 256))
"""The pauses after failed attempts; after the last one, only the daily schedule tries again."""


def request_for(
    context: dg.SensorEvaluationContext,
    content: str,
    now: dt.datetime,
    tags: Mapping[str, str] | None = None,
    asset_selection: Sequence[dg.AssetKey] | None = None,
    job_name: str | None = None,
) -> dg.RunRequest | None:
    """Return the request of a run for the content: the first, or another one if the last one failed long enough ago.

    Returns None while it runs, and after it succeeded or was cancelled. now: UTC without zone. job_name: which of the
    sensor's jobs runs, if it has several.
    """
    failed = failed_attempts(context.instance, content, now)
    if failed is None:
        return None
    return dg.RunRequest(
        run_key=content if not failed else f"{content} attempt {failed + 1}",
        tags={**(tags or {}), CONTENT_TAG: content},
        asset_selection=list(asset_selection) if asset_selection is not None else None,
        job_name=job_name,
    )


def failed_attempts(instance: dg.DagsterInstance, content: str, now: dt.datetime) -> int | None:
    """Return how many runs for the content have failed; None if there is nothing to request now."""
    filters = dg.RunsFilter(tags={CONTENT_TAG: content})
    records = instance.get_run_records(filters, limit=len(PAUSES) + 1)  # the latest first
    if not records:
        return 0
    latest = records[0]
    if latest.dagster_run.status is not dg.DagsterRunStatus.FAILURE or len(records) > len(PAUSES):
        return None
    ended = dt.datetime.fromtimestamp(latest.end_time or latest.create_timestamp.timestamp(), dt.UTC)
    since = abs(now.replace(tzinfo=dt.UTC) - ended)  # a clock that was set back since must not hold it up
    return len(records) if since >= PAUSES[len(records) - 1] else None
