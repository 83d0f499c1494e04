"""The schedules of the project."""

from __future__ import annotations

import dagster as dg

from assets.jobs import EVERYTHING
from quintet.builds import DAILY_HOUR_UTC


def build_schedules(jobs: dict[str, dg.UnresolvedAssetJobDefinition]) -> list[dg.ScheduleDefinition]:
    """Return the daily schedule, which builds everything before working hours."""
    return [
        dg.ScheduleDefinition(
            name="daily",
            job=jobs[EVERYTHING],
            cron_schedule=f"0 {DAILY_HOUR_UTC} * * *",
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description=f"Builds everything every day at {DAILY_HOUR_UTC:02d}:00 UTC.",
        )
    ]
