"""What a killed run leaves in Dagster's own storage does not stop the next one."""

from __future__ import annotations

import dagster as dg

from cli.materialise import release_dead_runs
from resources.warehouse import POOL


def killed_run(instance: dg.DagsterInstance, tags: dict[str, str]) -> dg.DagsterRun:
    """A run that holds the writer's place and will never give it back."""

    @dg.op
    def nothing() -> None: ...

    @dg.job
    def job() -> None:
        nothing()

    run = instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
    instance.event_log_storage.set_concurrency_slots(POOL, 1)
    assert instance.event_log_storage.claim_concurrency_slot(POOL, run.run_id, "nothing").is_claimed
    return run


def is_place_free(instance: dg.DagsterInstance) -> bool:
    return instance.event_log_storage.get_concurrency_info(POOL).active_slot_count == 0


def test_the_place_of_a_killed_run_is_given_back() -> None:
    with dg.instance_for_test() as instance:
        run = killed_run(instance, {"quintet/started_by": "command line"})
        release_dead_runs(instance)
        assert is_place_free(instance)
        again = instance.get_run_by_id(run.run_id)
        assert again is not None
        assert again.status is dg.DagsterRunStatus.FAILURE


def test_a_run_of_the_daemon_keeps_its_place() -> None:
    with dg.instance_for_test() as instance:
        killed_run(instance, {})
        release_dead_runs(instance)
        assert not is_place_free(instance)
