"""What every event log of this project does beside keeping events, wherever it keeps them."""

import os
from pathlib import Path
from typing import Any

from dagster import DagsterEventType, EventLogEntry
from dagster._core.storage.event_log import SqlEventLogStorage

from quintet.redaction import without_secrets
from resources.run_marks import hold_mark, marks_folder, note_unfinished, release_mark
from resources.run_progress import RunProgress

_PLANNED = DagsterEventType.ASSET_MATERIALIZATION_PLANNED
_ENDS = (DagsterEventType.RUN_SUCCESS, DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_CANCELED)


class RecordedRuns(SqlEventLogStorage):
    """Base of an event log: marks the runs that this process executes, reports their progress, frees their slots.

    The process that executes a run marks it; the process that records its end frees its slots in the pools.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._progress = RunProgress()
        super().__init__(*arguments, **named)

    def store_event(self, event: EventLogEntry) -> None:
        """Store the event; mark the run before its start event, free its slots after its end event, note a failure."""
        if _begins_here(event):
            hold_mark(marks_folder(self._home), event.run_id)
        super().store_event(event)
        self._progress.take(event, lambda: len(self.get_logs_for_run(event.run_id, of_type=_PLANNED)))
        if event.dagster_event is not None and event.dagster_event.event_type in _ENDS:
            if event.dagster_event.event_type is not DagsterEventType.RUN_SUCCESS:
                note_unfinished(self._home)
            self.free_concurrency_slots_for_run(event.run_id)
            release_mark(marks_folder(self._home), event.run_id)

    def _event_to_row(self, event: EventLogEntry) -> dict[str, Any]:
        """Return the row of an event, whose errors and messages may hold secrets, without them."""
        row = super()._event_to_row(event)
        return row | {"event": without_secrets(row["event"])}

    @property
    def _home(self) -> Path:
        return Path(self._instance.root_directory)


def _begins_here(event: EventLogEntry) -> bool:
    """Return whether this process starts to execute the run with this event."""
    begun = event.dagster_event
    if begun is None:
        return False
    if begun.event_type is DagsterEventType.RUN_START:
        return True
    if begun.event_type is not DagsterEventType.ENGINE_EVENT:
        return False
    pid = begun.engine_event_data.metadata.get("pid")
    return pid is not None and pid.value == str(os.getpid())
