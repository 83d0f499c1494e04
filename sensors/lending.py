"""Sensors of lending: a new dump in the inbox, and a change log that has grown enough."""

from __future__ import annotations

import hashlib

import dagster as dg

from assets.ingest import inbox_event
from assets.jobs import DOMAIN_JOBS, EVERYTHING, EVERYTHING_JOB
from quintet.change_log.lake import read_manifest
from quintet.change_log.log import covering, stretches
from quintet.change_log.place import latest_log
from quintet.lending.inbox import INBOX, compare_dumps
from quintet.settings import Settings
from resources.clock import Clock
from resources.inboxes import INBOX_TAG, Inboxes
from resources.paths import Paths
from sensors.first_build import FIRST_BUILD, is_first_build
from sensors.inboxes import INTERVAL_SECONDS as INBOX_SECONDS
from sensors.inboxes import settled_files
from sensors.retries import request_for

INTERVAL_SECONDS = 60
MOST_OBJECTS = 200
"""Objects of the log that start a compaction; the daily run compacts fewer."""


@dg.sensor(
    name="watch_change_log",
    job=DOMAIN_JOBS["lending"],
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=f"Builds lending when {MOST_OBJECTS} objects of the change log wait to be compacted.",
)
def watch_change_log(
    context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings], clock: Clock
) -> dg.RunRequest | dg.SkipReason:
    """Request a run when the log has grown."""
    found = latest_log(settings)
    if found is None:
        return dg.SkipReason("there is no change log yet")
    log, epoch = found
    waiting = list(covering(stretches(log, epoch.name), read_manifest(log, epoch).compacted_to))
    if len(waiting) < MOST_OBJECTS:
        return dg.SkipReason(f"{len(waiting)} of {MOST_OBJECTS} objects wait")
    first, last = waiting[0][0], waiting[MOST_OBJECTS - 1][0]
    request = request_for(context, f"{first.epoch} {first.start} {last.end}", clock.now())
    return request or dg.SkipReason("a run for these objects was requested")


@dg.sensor(
    name="watch_loan_book",
    jobs=[DOMAIN_JOBS["lending"], EVERYTHING_JOB],
    minimum_interval_seconds=INBOX_SECONDS,
    tags={INBOX_TAG: INBOX},
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Loads new dumps of data/raw/loan_book.",
)
def watch_loan_book(
    context: dg.SensorEvaluationContext, inboxes: Inboxes, paths: Paths, clock: Clock
) -> dg.SensorResult | dg.SkipReason:
    """Request a run for dumps that the snapshot does not know."""
    settled = settled_files(context, INBOX, inboxes, clock)
    if isinstance(settled, dg.SkipReason):
        return settled
    listed = compare_dumps(settled.files, paths.serving)
    seen = [inbox_event(INBOX, listed.version)]
    if not listed.unknown:
        return dg.SensorResult(skip_reason="the snapshot knows every dump", cursor=settled.cursor(), asset_events=seen)
    content = hashlib.sha256(" ".join(sorted(listed.unknown)).encode()).hexdigest()
    if is_first_build(context.instance, paths.serving):
        request = request_for(context, content, clock.now(), FIRST_BUILD, job_name=EVERYTHING)
    else:
        request = request_for(context, content, clock.now(), job_name="lending")
    requests = [] if request is None else [request]
    return dg.SensorResult(run_requests=requests, cursor=settled.cursor(content), asset_events=seen)


SENSORS = [watch_change_log, watch_loan_book]
