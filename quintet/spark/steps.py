"""Run a step on a worker, in the version of the machine that sent it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pyarrow as pa

from quintet.code_version import code_version
from quintet.spark.faults import SparkError

Step = Callable[[pa.Table], pa.Table]
"""A pure function of one group's rows. It is sent by name, so it must be importable on the cluster."""


def sent(step: Step, module: str) -> Any:
    """Return the step as the cluster runs it. module: the `quintet` module whose code decides the result.

    Without type hints Spark gives the function a whole group, as a table.
    """
    code = _own_code(module)

    def on_worker(group):
        return run_step(group, step, module, code)

    return on_worker


def run_step(group: pa.Table, step: Step, module: str, code: str) -> pa.Table:
    """Run the step on a group. code: the version of the module here. Raises SparkError if this one is another."""
    if code != _own_code(module):
        raise SparkError("the workers have another version of Quintet; install the same on them")
    return step(group)


@cache
def _own_code(module: str) -> str:
    return code_version(module)
