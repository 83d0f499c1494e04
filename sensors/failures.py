"""Record failed runs in a file for people and monitoring."""

import json
from pathlib import Path

import dagster as dg

from quintet.redaction import without_secrets
from resources.clock import Clock

FAILURES = "failures.jsonl"


def failure_record(run_id: str, job_name: str, message: str, at: str) -> str:
    """Return the line of JSON for a failed run."""
    return (
        json.dumps(
            {"at": at, "run_id": run_id, "job": job_name, "message": without_secrets(message)}, ensure_ascii=False
        )
        + "\n"
    )


def build_failure_sensor(home: Path) -> dg.SensorDefinition:
    """Return a sensor that adds a line to `failures.jsonl` in the home folder for each failed run."""

    @dg.run_failure_sensor(
        name="note_failures",
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Adds a line to failures.jsonl in the home folder for each failed run.",
    )
    def note_failures(context: dg.RunFailureSensorContext, clock: Clock) -> None:
        record = failure_record(
            context.dagster_run.run_id,
            context.dagster_run.job_name,
            context.failure_event.message or "",
            clock.now().isoformat(timespec="seconds"),
        )
        with (home / FAILURES).open("a", encoding="utf-8") as failures:
            failures.write(record)

    return note_failures
