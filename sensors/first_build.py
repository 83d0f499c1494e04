"""The first build: one run for all inboxes, in place of one for each."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from quintet.warehouse.snapshot import CURRENT

FIRST_BUILD = {"quintet/first_build": "true"}
"""The tag of the run that builds everything for the first time."""

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def is_first_build(instance: dg.DagsterInstance, serving: Path) -> bool:
    """Return whether nothing is published and no run was ever started: the next run is to build everything."""
    return not (serving / CURRENT).exists() and not instance.get_run_records(limit=1)


def is_building_first(instance: dg.DagsterInstance) -> bool:
    """Return whether the first build waits or runs; the sensors of inboxes leave their files to it."""
    return bool(instance.get_run_records(dg.RunsFilter(tags=FIRST_BUILD, statuses=_UNFINISHED), limit=1))
