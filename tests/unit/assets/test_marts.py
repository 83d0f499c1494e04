"""Each model and test is in one of the two parts of the dbt project, and can be looked up in both."""

from __future__ import annotations

from typing import Any

import pytest

from assets.marts import _part_of


def node(kind: str, *reads: str, tags: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"resource_type": kind, "tags": list(tags), "depends_on": {"nodes": list(reads)}}


PROJECT: dict[str, Any] = {
    "metadata": {},
    "nodes": {
        "model.minutes": node("model", "source.raw"),
        "model.incidents": node("model", "source.ml", tags=("payments", "results")),
        "test.minutes": node("test", "model.minutes", tags=("payments",)),
        "test.incidents": node("test", "model.incidents"),
        "test.both": node("test", "model.minutes", "model.incidents"),
    },
}


@pytest.mark.parametrize(
    ("of_results", "listed"),
    [
        (False, {"model.minutes", "test.minutes"}),
        (True, {"model.incidents", "test.incidents", "test.both"}),
    ],
)
def test_a_test_goes_with_the_results_where_it_reads_one(of_results: bool, listed: set[str]) -> None:
    part = _part_of(PROJECT, of_results=of_results)
    assert set(part["nodes"]) == listed
    assert part["metadata"] is PROJECT["metadata"]
    for name, found in PROJECT["nodes"].items():
        assert part["nodes"].get(name) is found
        assert name in part["nodes"]
