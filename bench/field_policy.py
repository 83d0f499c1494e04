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
    """Read the policy and the rows from `given.json`; for each line of the input, answer outcomes and seconds.

    The policy is decided in both forms that the engine has: a graph with one expression, and the expression alone. It
    returns the level and whether each reason holds.
    """
    given = json.loads((folder / "given.json").read_text("utf-8"))
    rows, codes, answer = given["rows"], given["codes"], answers()
    graph, expression = (
        zen.ZenEngine().create_decision(json.dumps(given["graph"])),
        zen.compile_expression(given["expression"]),
    )
    forms: dict[str, Callable[[dict[str, Any]], list[Any]]] = {
        "graph": lambda row: graph.evaluate(row)["result"]["found"],
        "expression": expression.evaluate,
    }
    for _ in sys.stdin:
        seconds, outcomes = {}, {}
        for name, evaluate in forms.items():
            began = time.perf_counter()
            outcomes[name] = [_outcome(evaluate(row), codes) for row in rows]
            seconds[name] = time.perf_counter() - began
        answer({"outcomes": outcomes, "seconds": seconds})


def _outcome(found: list[Any], codes: list[str]) -> tuple[str, list[str]]:
    level, *held = found
    reasons = [code for code, holds in zip(codes, held, strict=True) if holds]
    return _LEVELS[int(level)], list(dict.fromkeys(reasons))


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
