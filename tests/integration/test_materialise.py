"""The leftovers of a killed run in Dagster's storage do not stop the next run."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from cli.dead_runs import release_dead_runs
from resources.event_log import open_instance
from resources.run_marks import STARTED_BY, hold_mark, marks_folder, release_mark
from resources.warehouse import POOL


@pytest.fixture
def instance(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """Yield an instance with the project's configuration."""
    (tmp_path / "dagster.yaml").write_text((project / "dagster.yaml").read_text("utf-8"), "utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with open_instance() as opened:
        yield opened


def begun_run(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED, tags: dict | None = None
) -> dg.DagsterRun:
    """Return a run that holds the writer's slot."""

    @dg.op
    def nothing() -> None: ...

    @dg.job
    def job() -> None:
        nothing()

    run = instance.create_run_for_job(job, status=status, tags=tags)
    instance.event_log_storage.set_concurrency_slots(POOL, 1)
    instance.event_log_storage.claim_concurrency_slot(POOL, run.run_id, "nothing")
    return run


def is_place_free(instance: dg.DagsterInstance) -> bool:
    info = instance.event_log_storage.get_concurrency_info(POOL)
    return info.active_slot_count == 0 and not info.pending_steps


def status_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


@pytest.mark.parametrize(
    ("status", "ended_as"),
    [
        (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.FAILURE),
        (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.FAILURE),
        (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE),
        (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED),
    ],
)
def test_a_run_whose_process_is_dead_ends_and_frees_its_slot(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus, ended_as: dg.DagsterRunStatus
) -> None:
    run = begun_run(instance, status)
    assert release_dead_runs(instance) == [run.run_id]
    assert is_place_free(instance)
    assert status_of(instance, run) is ended_as


def test_a_run_that_waits_for_the_slot_of_a_dead_run_is_next(instance: dg.DagsterInstance) -> None:
    begun_run(instance)
    waits = begun_run(instance)
    hold_mark(marks_folder(Path(instance.root_directory)), waits.run_id)
    release_dead_runs(instance)
    assert instance.event_log_storage.claim_concurrency_slot(POOL, waits.run_id, "nothing").is_claimed
    release_mark(marks_folder(Path(instance.root_directory)), waits.run_id)


def test_a_living_run_keeps_its_slot(instance: dg.DagsterInstance) -> None:
    run = begun_run(instance)
    hold_mark(marks_folder(Path(instance.root_directory)), run.run_id)
    assert release_dead_runs(instance) == []
    assert not is_place_free(instance)
    assert status_of(instance, run) is dg.DagsterRunStatus.STARTED
    release_mark(marks_folder(Path(instance.root_directory)), run.run_id)


def test_a_run_that_a_living_daemon_is_about_to_start_is_left_to_it(instance: dg.DagsterInstance) -> None:
    run = begun_run(instance, dg.DagsterRunStatus.STARTING)
    assert release_dead_runs(instance, has_daemon=True) == []
    assert status_of(instance, run) is dg.DagsterRunStatus.STARTING


def test_a_slot_that_a_run_kept_after_its_end_is_freed(instance: dg.DagsterInstance) -> None:
    begun_run(instance, dg.DagsterRunStatus.FAILURE)
    assert not is_place_free(instance)
    release_dead_runs(instance)
    assert is_place_free(instance)


def test_the_end_of_a_run_frees_its_slot_in_any_process(instance: dg.DagsterInstance) -> None:
    instance.report_run_failed(begun_run(instance), "as the code server says it")
    assert is_place_free(instance)


def test_a_run_is_marked_while_it_is_executed(instance: dg.DagsterInstance) -> None:
    folder, seen = marks_folder(Path(instance.root_directory)), []

    @dg.asset
    def one(context: dg.AssetExecutionContext) -> None:
        seen.append((folder / context.run_id).exists())

    dg.materialize([one], instance=instance)
    assert seen == [True]
    assert list(folder.iterdir()) == []


def test_where_the_event_log_is_not_ours_only_runs_of_the_command_line_end() -> None:
    with dg.instance_for_test() as other:
        own, foreign = begun_run(other, tags=STARTED_BY), begun_run(other)
        assert release_dead_runs(other) == [own.run_id]
        assert status_of(other, foreign) is dg.DagsterRunStatus.STARTED
