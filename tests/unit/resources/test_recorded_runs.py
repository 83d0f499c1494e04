"""A run is marked as long as its process executes it, its failure is noted, and its events hold no secret."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterEvent, DagsterEventType, EventLogEntry, MetadataValue
from dagster._core.events import EngineEventData

from resources.event_log import open_instance
from resources.recorded_runs import RecordedRuns, _begins_here
from resources.run_marks import is_unfinished, living, marks_folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("fails", [False, True])
def test_a_run_is_marked_until_it_ends_and_only_a_failure_is_noted(home: Path, fails: bool) -> None:
    marked: list[dict[str, int]] = []

    @dg.asset
    def one() -> None:
        marked.append(living(marks_folder(home)))
        if fails:
            raise ValueError("postgresql://user:planted-password@host/database does not answer")

    with open_instance() as instance:
        assert isinstance(instance.event_log_storage, RecordedRuns)
        run = dg.materialize([one], instance=instance, raise_on_error=False)
        events = repr(instance.all_logs(run.run_id))

    assert marked == [{run.run_id: os.getpid()}]
    assert living(marks_folder(home)) == {}
    assert is_unfinished(home) == fails
    assert ("does not answer" in events) == fails
    assert "planted-password" not in events


@pytest.mark.usefixtures("home")
def test_the_end_of_a_run_frees_its_slots() -> None:
    with open_instance() as instance:
        log = instance.event_log_storage
        run = instance.add_run(dg.DagsterRun("job", status=dg.DagsterRunStatus.STARTED))
        log.set_concurrency_slots("writer", 1)
        log.claim_concurrency_slot("writer", run.run_id, "step")
        assert log.get_concurrency_info("writer").active_slot_count == 1
        instance.report_run_failed(run)

        assert log.get_concurrency_info("writer").active_slot_count == 0


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
