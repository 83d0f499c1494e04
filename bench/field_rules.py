"""Evaluate rules with an engine of the field, in its own environment; `python field_rules.py FOLDER`.

Reads `given.json`: the engine, the conditions in its language, and the values of one subject. Writes `found.json`: the
median milliseconds of an evaluation of all conditions, and the message for a condition on an unknown figure.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ROUNDS = 50
_UNKNOWN = "no_such_figure > 3"


def _zen(conditions: list[str], values: dict[str, Any]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    import zen  # noqa: PLC0415  # each environment has one engine

    compiled = [zen.compile_expression(condition) for condition in conditions]
    return lambda: [one.evaluate(values) for one in compiled], lambda: zen.compile_expression(_UNKNOWN)


def _cel(conditions: list[str], values: dict[str, Any]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    from cel_expr_python import cel  # noqa: PLC0415  # likewise

    kinds = dict.fromkeys(values, cel.Type.DYN)
    environment = cel.NewEnv(variables=kinds)
    compiled = [environment.compile(condition) for condition in conditions]
    return lambda: [one.eval(data=values) for one in compiled], lambda: environment.compile(_UNKNOWN)


def _celpy(conditions: list[str], values: dict[str, Any]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    import celpy  # noqa: PLC0415  # likewise

    environment = celpy.Environment()
    compiled = [environment.program(environment.compile(condition)) for condition in conditions]
    given = celpy.json_to_cel(values)
    return lambda: [one.evaluate(given) for one in compiled], lambda: environment.compile(_UNKNOWN)


def measure(folder: Path) -> None:
    """Measure one engine."""
    given = json.loads((folder / "given.json").read_text("utf-8"))
    engines = {"zen": _zen, "cel": _cel, "celpy": _celpy}
    evaluate, compile_unknown = engines[given["engine"]](given["conditions"], given["values"])
    evaluate()
    seconds = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        evaluate()
        seconds.append(time.perf_counter() - began)
    milliseconds = statistics.median(seconds) * 1e3
    said = ""
    try:
        compile_unknown()
    except Exception as error:
        said = str(error)
    (folder / "found.json").write_text(
        json.dumps({"ms": milliseconds, "names_unknown": "no_such_figure" in said}), "utf-8"
    )


if __name__ == "__main__":
    measure(Path(sys.argv[1]))
