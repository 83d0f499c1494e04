"""The schedules of the project."""

from __future__ import annotations

import dagster as dg

from assets.jobs import EVERYTHING


def build_schedules(jobs: dict[str, dg.UnresolvedAssetJobDefinition]) -> list[dg.ScheduleDefinition]:
    """Return the daily schedule, which builds everything before working hours."""
    return [
        dg.ScheduleDefinition(
            name="daily",
            job=jobs[EVERYTHING],
            cron_schedule="0 4 * * *",
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description="Builds everything every day at 04:00 UTC.",
        )
    ]
