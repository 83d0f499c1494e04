"""A step runs only in the version of the machine that sent it."""

from __future__ import annotations

import pyarrow as pa
import pytest

from quintet.spark.faults import SparkError
from quintet.spark.steps import run_step, sent

_TABLE = pa.table({"key": [1, 2]})


def same(group: pa.Table) -> pa.Table:
    return group


def nothing(group: pa.Table) -> pa.Table:
    return group.slice(0, 0)


def test_a_step_of_this_version_runs_and_says_that_its_group_has_answered() -> None:
    found = sent(same, "quintet.spark.steps", "key")(_TABLE)

    assert found.to_pydict() == {"key": [1, 2, None], "answered": [None, None, "1"]}
    assert sent(nothing, "quintet.spark.steps", "key")(_TABLE).to_pydict() == {"key": [None], "answered": ["1"]}


def test_a_worker_with_another_version_refuses() -> None:
    with pytest.raises(SparkError, match="another version of Quintet"):
        run_step(_TABLE, same, "quintet.spark.steps", "0123456789abcdef")
