"""A sensor for the change log: when enough has come, lending is built from it.

Belongs here: when a run is due. An error fails the tick, where Dagster shows it.
"""

from __future__ import annotations

import dagster as dg

from assets.jobs import domain_selection
from quintet.changelog.lake import read_manifest
from quintet.changelog.log import covering, stretches
from quintet.changelog.place import latest_log
from quintet.settings import Settings

INTERVAL_SECONDS = 60
MOST_OBJECTS = 200
"""Objects of the log that may wait for a compaction; the daily run takes what is fewer."""


@dg.sensor(
    name="watch_change_log",
    target=domain_selection("lending"),
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=f"Builds lending when {MOST_OBJECTS} objects of the change log wait to be compacted.",
)
def watch_change_log(settings: dg.ResourceParam[Settings]) -> dg.RunRequest | dg.SkipReason:
    """Ask for a run when the log has grown."""
    found = latest_log(settings)
    if found is None:
        return dg.SkipReason("no stream has written yet")
    log, epoch = found
    waiting = list(covering(stretches(log, epoch.name), read_manifest(log, epoch).compacted_to))
    if len(waiting) < MOST_OBJECTS:
        return dg.SkipReason(f"{len(waiting)} of {MOST_OBJECTS} objects wait")
    first, last = waiting[0][0], waiting[MOST_OBJECTS - 1][0]
    return dg.RunRequest(run_key=f"{first.epoch} {first.start} {last.end}")
