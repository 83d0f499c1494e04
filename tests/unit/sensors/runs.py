"""Runs that sensors have requested."""

from __future__ import annotations

import dagster as dg


def attempt(instance: dg.DagsterInstance, request: dg.RunRequest, *, fails: bool) -> None:
    """Execute a requested run, which does nothing or fails."""

    @dg.op
    def work() -> None:
        if fails:
            raise RuntimeError("the disk is full")

    @dg.job
    def requested() -> None:
        work()

    ran = requested.execute_in_process(instance=instance, tags=request.tags, raise_on_error=False)
    assert ran.success is not fails
