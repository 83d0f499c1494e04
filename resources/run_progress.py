"""Report how far the run is that this process executes, for the pages, whoever started it."""

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path

from dagster import DagsterEventType, EventLogEntry

from quintet.builds import Reporter

_ENDS = (DagsterEventType.RUN_SUCCESS, DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_CANCELED)


class RunProgress:
    """Writes the progress of runs to the folder QUINTET_HOME, where pages read it; nothing without one."""

    def __init__(self) -> None:
        self._reporters: dict[str, Reporter] = {}

    def take(self, event: EventLogEntry, planned: Callable[[], int]) -> None:
        """Report an event of a run that began in this process. planned: returns how many assets the run will build."""
        home, own = os.environ.get("QUINTET_HOME"), event.dagster_event
        if own is None or not home:
            return
        if own.event_type is DagsterEventType.RUN_START:
            self._reporters[event.run_id] = Reporter(Path(home), planned(), lambda: dt.datetime.now(dt.UTC))
        reporter = self._reporters.get(event.run_id)
        if reporter is None:
            return
        if own.event_type is DagsterEventType.STEP_START:
            reporter.begin(str(own.step_key).replace("__", " ").replace("_", " "))
        elif own.event_type is DagsterEventType.ASSET_MATERIALIZATION:
            reporter.end()
        elif own.event_type in _ENDS:
            self._reporters.pop(event.run_id).close()
