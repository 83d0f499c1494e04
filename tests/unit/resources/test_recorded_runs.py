"""The event that begins a run in this process is told apart from those of other processes."""

from __future__ import annotations

import os

import pytest
from dagster import DagsterEvent, DagsterEventType, EventLogEntry, MetadataValue
from dagster._core.events import EngineEventData

from resources.recorded_runs import _begins_here


def entry(kind: DagsterEventType | None, metadata: dict[str, MetadataValue] | None = None) -> EventLogEntry:
    event = None
    if kind is not None:
        data = EngineEventData(metadata) if metadata is not None else None
        event = DagsterEvent(kind.value, "job", event_specific_data=data)
    return EventLogEntry(
        error_info=None, level=20, user_message="", run_id="r", timestamp=0.0, job_name="job", dagster_event=event
    )


@pytest.mark.parametrize(
    ("logged", "begins"),
    [
        (entry(DagsterEventType.RUN_START), True),
        (entry(DagsterEventType.ENGINE_EVENT, {"pid": MetadataValue.text(str(os.getpid()))}), True),
        (entry(DagsterEventType.ENGINE_EVENT, {"pid": MetadataValue.text(str(os.getppid()))}), False),
        (entry(DagsterEventType.ENGINE_EVENT, {}), False),
        (entry(DagsterEventType.RUN_SUCCESS), False),
        (entry(None), False),
    ],
)
def test_a_run_begins_here_with_its_start_or_an_event_of_this_process(logged: EventLogEntry, begins: bool) -> None:
    assert _begins_here(logged) == begins
