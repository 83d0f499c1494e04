"""End the runs whose process is dead, because they would keep their slots in the concurrency pools."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from cli.daemon_lock import is_daemon_alive
from resources.event_log import open_instance
from resources.recorded_runs import RecordedRuns
from resources.run_marks import STARTED_BY, living, marks_folder

_BEGUN = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
_ABOUT_TO_BEGIN = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING]


def release_dead_runs(instance: dg.DagsterInstance, has_daemon: bool = False) -> list[str]:
    """End the runs whose process is dead, free their slots in every pool, and return the ids of these runs.

    A run is alive as long as its process holds its mark. A run that is about to start has no mark yet; if the home has
    a daemon, it is left to the daemon. Queued runs stay in the queue. With an event log of Dagster's own, only runs
    of the command line have marks, and all others are left alone.
    """
    alive = living(marks_folder(Path(instance.root_directory)))
    tags = None if isinstance(instance.event_log_storage, RecordedRuns) else STARTED_BY
    statuses = _BEGUN if has_daemon and tags is None else [*_BEGUN, *_ABOUT_TO_BEGIN]
    unfinished = instance.get_runs(dg.RunsFilter(statuses=statuses, tags=tags))
    ended = []
    for run in unfinished:
        if run.run_id not in alive:
            _end(instance, run)
            ended.append(run.run_id)
    _free_slots_of_ended_runs(instance)
    return ended


def end_dead_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """End a run whose process has just died, unless it has recorded its end."""
    run = instance.get_run_by_id(run_id)
    if run is not None and not run.is_finished:
        _end(instance, run)


def _end(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    if run.status is dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, "the process of this run was killed while it was canceled")
    else:
        instance.report_run_failed(run, "the process of this run was killed")


def _free_slots_of_ended_runs(instance: dg.DagsterInstance) -> None:
    """Free the slots of ended or unknown runs, which a kill between two writes leaves behind."""
    storage = instance.event_log_storage
    for info in storage.get_concurrency_infos(sorted(storage.get_concurrency_keys())).values():
        holding, waiting = (claim.run_id for claim in info.claimed_slots), (step.run_id for step in info.pending_steps)
        for run_id in {*holding, *waiting}:
            run = instance.get_run_by_id(run_id)
            if run is None or run.is_finished:
                storage.free_concurrency_slots_for_run(run_id)


def main(arguments: Sequence[str]) -> int:
    """End the dead runs of DAGSTER_HOME; arguments: the seconds to wait for runs that are stopping now."""
    until = time.monotonic() + float(arguments[0] if arguments else 0)
    with open_instance() as instance:
        home = Path(instance.root_directory)
        while living(marks_folder(home)) and time.monotonic() < until:
            time.sleep(0.05)
        release_dead_runs(instance, is_daemon_alive(home))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
