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


ANSWERED = pa.field("answered", pa.string())
"""A further column of results: each group has a row with its key in it, and nothing else."""


def sent(step: Step, module: str, key: str) -> Any:
    """Return the step as the cluster runs it, with the row of `ANSWERED` after the results.

    module: the `quintet` module whose code decides the result. Without type hints Spark gives the function a whole
    group, as a table.
    """
    code = _own_code(module)

    def on_worker(group):
        return receipted(run_step(group, step, module, code), str(group[key][0].as_py()))

    return on_worker


def run_step(group: pa.Table, step: Step, module: str, code: str) -> pa.Table:
    """Run the step on a group. code: the version of the module here. Raises SparkError if this one is another."""
    if code != _own_code(module):
        raise SparkError("the workers have another version of Quintet; install the same on them")
    return step(group)


def receipted(results: pa.Table, key: str) -> pa.Table:
    """Return the results of a group with a row that says so: without it, results that were lost look like none."""
    schema = results.schema.append(ANSWERED)
    columns = [pa.nulls(1, field.type) for field in results.schema]
    answered = pa.table([*columns, pa.array([key])], schema=schema)
    return pa.concat_tables([results.append_column(ANSWERED, pa.nulls(len(results), pa.string())), answered])


@cache
def _own_code(module: str) -> str:
    return code_version(module)
