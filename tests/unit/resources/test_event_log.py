"""The event log with open connections writes the same as Dagster's own, which can read it."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage
from sqlalchemy import text

from resources.event_log import OpenEventLog, open_instance


@dg.asset(check_specs=[dg.AssetCheckSpec("is_small", asset="one")])
def one() -> dg.MaterializeResult:
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=False)])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


def kinds(instance: dg.DagsterInstance, run_id: str) -> list[str | None]:
    """Return the kinds of events in a run's log, in order."""
    logs = instance.all_logs(run_id)
    return [entry.dagster_event and entry.dagster_event.event_type_value for entry in logs]


@pytest.mark.usefixtures("home")
def test_another_instance_reads_what_a_run_writes_as_if_dagster_had_written_it() -> None:
    with open_instance() as opened:
        assert isinstance(opened.event_log_storage, OpenEventLog)
        run = dg.materialize([one], instance=opened)
        with dg.DagsterInstance.get() as usual:  # reads while the first holds its connections
            own = dg.materialize([one], instance=usual)
            assert not isinstance(usual.event_log_storage, OpenEventLog)
            assert kinds(usual, run.run_id) == kinds(usual, own.run_id)
            assert "ASSET_CHECK_EVALUATION" in kinds(usual, run.run_id)
            both = usual.fetch_materializations(dg.AssetKey("one"), limit=9).records
            assert {record.run_id for record in both} == {run.run_id, own.run_id}
        assert kinds(opened, own.run_id) == kinds(opened, run.run_id)


def test_what_is_kept_elsewhere_stays_there(home: Path) -> None:
    (home / "dagster.yaml").write_text(
        "event_log_storage:\n"
        "  module: dagster._core.storage.event_log\n"
        "  class: ConsolidatedSqliteEventLogStorage\n"
        f"  config: {{base_dir: {home}}}\n"
    )
    with open_instance() as instance:
        assert type(instance.event_log_storage).__name__ == "ConsolidatedSqliteEventLogStorage"


@pytest.mark.usefixtures("home")
def test_no_event_waits_for_the_disk_as_those_of_dagster_do() -> None:
    with open_instance() as opened, dg.DagsterInstance.get() as usual:
        assert disk_settings(opened, "a run") == ("wal", 1)
        assert disk_settings(usual, "a run")[1] == 2


def disk_settings(instance: dg.DagsterInstance, run_id: str) -> tuple[str, int]:
    """Return the mode of the journal of a run's file, and how far a commit waits for the disk (2: to the end)."""
    log = instance.event_log_storage
    assert isinstance(log, SqliteEventLogStorage)
    with log.run_connection(run_id) as connection:
        (journal,) = connection.execute(text("pragma journal_mode")).one()
        (synchronous,) = connection.execute(text("pragma synchronous")).one()
    return journal, synchronous
