"""A failed run is requested again, later each time, and not for ever."""

from __future__ import annotations

import datetime as dt

import dagster as dg
import pytest

from sensors.retries import PAUSES, request_for
from tests.unit.sensors.runs import attempt

SECOND = dt.timedelta(seconds=1)
MARGIN = 30 * SECOND


def ask(instance: dg.DagsterInstance, later: dt.timedelta) -> dg.RunRequest | None:
    """Request a run as a sensor would `later` than now."""
    context = dg.build_sensor_context(instance=instance)
    return request_for(context, "what is new", dt.datetime.now(dt.UTC).replace(tzinfo=None) + later, {"inbox": "a"})


def test_each_failure_doubles_the_pause_until_only_the_schedule_tries() -> None:
    keys = set()
    with dg.DagsterInstance.ephemeral() as instance:
        request = ask(instance, 0 * SECOND)
        for pause in PAUSES:
            assert request is not None
            assert request.tags["inbox"] == "a"
            keys.add(request.run_key)
            attempt(instance, request, fails=True)
            assert ask(instance, pause - MARGIN) is None
            request = ask(instance, pause + MARGIN)
        assert request is not None
        attempt(instance, request, fails=True)
        assert ask(instance, dt.timedelta(days=1)) is None
    assert len(keys) == len(PAUSES)


def test_a_clock_that_was_set_back_since_the_failure_does_not_hold_the_next_attempt_up() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        request = ask(instance, 0 * SECOND)
        assert request is not None
        attempt(instance, request, fails=True)
        assert ask(instance, -MARGIN) is None
        assert ask(instance, -dt.timedelta(days=2)) is not None


@pytest.mark.parametrize("failures", [0, 2])
def test_after_a_success_nothing_is_requested(failures: int) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for number in range(failures + 1):
            request = ask(instance, dt.timedelta(days=1))
            assert request is not None
            attempt(instance, request, fails=number < failures)
        assert ask(instance, dt.timedelta(days=1)) is None


@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.CANCELED]
)
def test_a_run_that_works_or_was_cancelled_is_not_repeated(status: dg.DagsterRunStatus) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        request = ask(instance, 0 * SECOND)
        assert request is not None
        instance.add_run(dg.DagsterRun("requested", tags=request.tags, status=status))
        assert ask(instance, dt.timedelta(days=1)) is None
