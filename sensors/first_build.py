"""The first build: one run for all inboxes, in place of one for each."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from quintet.ingest.inbox import is_settled
from resources.clock import Clock
from resources.inboxes import Inboxes
from resources.paths import Paths

FIRST_BUILD = "quintet/first_build"
"""The tag of the run that builds everything for the first time."""

_INTERVAL_SECONDS = 3
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def is_building_first(instance: dg.DagsterInstance) -> bool:
    """Return whether the first build waits or runs; the sensors of inboxes leave their files to it."""
    filters = dg.RunsFilter(tags={FIRST_BUILD: "true"}, statuses=_UNFINISHED)
    return bool(instance.get_run_records(filters, limit=1))


def build_first_build_sensor(
    inbox_names: Sequence[str], everything: dg.UnresolvedAssetJobDefinition
) -> dg.SensorDefinition:
    """Return a sensor that requests the first build once, when inboxes have files and nothing is published.

    Its name is before those of the sensors of inboxes: the daemon evaluates sensors in the order of their names.
    everything: the job over all assets.
    """

    @dg.sensor(
        name="build_first",
        job=everything,
        minimum_interval_seconds=_INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts one run for the files of all inboxes while nothing is published.",
    )
    def build_first(
        context: dg.SensorEvaluationContext, inboxes: Inboxes, clock: Clock, paths: Paths
    ) -> dg.RunRequest | dg.SkipReason:
        if context.cursor:
            return dg.SkipReason("the first build was requested before")
        if (paths.serving / "current.duckdb").exists():
            return dg.SkipReason("something is published")
        if context.instance.get_run_records(dg.RunsFilter(statuses=_UNFINISHED), limit=1):
            return dg.SkipReason("a run is in progress")
        files = [file for name in inbox_names for file in inboxes.files(name)]
        if not files:
            return dg.SkipReason("every inbox is empty")
        growing = [file.name for file in files if not is_settled(file, clock.now(), inboxes.settle_seconds)]
        if growing:
            return dg.SkipReason(f"still being written: {', '.join(growing[:5])}")
        context.update_cursor(clock.now().isoformat(timespec="seconds"))
        return dg.RunRequest(tags={FIRST_BUILD: "true"})

    return build_first
