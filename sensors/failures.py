"""After a failed run: record it in a file for people and monitoring, and publish the domains that were built."""

from __future__ import annotations

import json
from collections.abc import Sequence

import dagster as dg

from assets.unfinished import left_to_publish
from quintet.redaction import without_secrets
from resources.clock import Clock
from resources.paths import Paths
from resources.run_marks import STARTED_BY

FAILURES = "failures.jsonl"


def failure_record(run_id: str, job_name: str, message: str, at: str) -> str:
    """Return the line of JSON for a failed run."""
    return (
        json.dumps(
            {"at": at, "run_id": run_id, "job": job_name, "message": without_secrets(message)}, ensure_ascii=False
        )
        + "\n"
    )


def build_failure_sensor() -> dg.SensorDefinition:
    """Return a sensor that adds a line to `failures.jsonl` in the home folder for each failed run."""

    @dg.run_failure_sensor(
        name="note_failures",
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Adds a line to failures.jsonl in the home folder for each failed run.",
    )
    def note_failures(context: dg.RunFailureSensorContext, clock: Clock, paths: Paths) -> None:
        record = failure_record(
            context.dagster_run.run_id,
            context.dagster_run.job_name,
            context.failure_event.message or "",
            clock.now().isoformat(timespec="seconds"),
        )
        with (paths.folder / FAILURES).open("a", encoding="utf-8") as failures:
            failures.write(record)

    return note_failures


FINISHES = "quintet/finishes"
"""The tag of a run that publishes the rest of a failed run, with the id of that run."""


def build_publishing_sensor(
    specs: Sequence[dg.AssetSpec], everything: dg.UnresolvedAssetJobDefinition
) -> dg.SensorDefinition:
    """Return a sensor that publishes the domains that a failed run has built.

    specs: all assets. everything: the job over all of them.
    """

    @dg.run_failure_sensor(
        name="publish_the_rest",
        request_job=everything,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Publishes the domains that a failed run has built; the failed one stays as it was.",
    )
    def publish_the_rest(context: dg.RunFailureSensorContext) -> dg.RunRequest | dg.SkipReason:
        run = context.dagster_run
        if FINISHES in run.tags or STARTED_BY.items() <= run.tags.items():
            return dg.SkipReason("whoever started the run publishes the rest")
        failed = {event.step_key for event in context.get_step_failure_events() if event.step_key}
        selected = run.asset_selection or {spec.key for spec in specs}
        rest = left_to_publish(context.instance, specs, selected, failed)
        if not rest:
            return dg.SkipReason("the run has published, or was not to publish, or publishing is what failed")
        return dg.RunRequest(run_key=run.run_id, asset_selection=rest, tags={FINISHES: run.run_id})

    return publish_the_rest
