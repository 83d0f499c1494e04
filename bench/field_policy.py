"""Decide applications with zen-engine, in its own environment; `python field_policy.py FOLDER`."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zen
from field_answers import answers

_LEVELS = ("approve", "refer", "reject")


def serve(folder: Path) -> None:
    """Read the policy and the rows from `given.json`; for each line of the input, answer decisions and seconds.

    The policy is decided in both forms that the engine has: a graph with one expression, and the expression alone.
    """
    given = json.loads((folder / "given.json").read_text("utf-8"))
    rows, answer = given["rows"], answers()
    graph, expression = (
        zen.ZenEngine().create_decision(json.dumps(given["graph"])),
        zen.compile_expression(given["level"]),
    )
    forms: dict[str, Callable[[dict[str, Any]], Any]] = {
        "graph": lambda row: graph.evaluate(row)["result"]["level"],
        "expression": expression.evaluate,
    }
    for _ in sys.stdin:
        seconds, decisions = {}, {}
        for name, level in forms.items():
            began = time.perf_counter()
            decisions[name] = [_LEVELS[int(level(row))] for row in rows]
            seconds[name] = time.perf_counter() - began
        answer({"decisions": decisions, "seconds": seconds})


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
