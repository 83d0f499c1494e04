"""Decide applications with zen-engine, in its own environment; `python field_policy.py FOLDER`."""

import json
import sys
import time
from pathlib import Path

from zen import ZenEngine

_LEVELS = ("approve", "refer", "reject")


def decide(folder: Path) -> None:
    """Read graph and rows from `given.json`; write decisions and seconds to `found.json`."""
    given = json.loads((folder / "given.json").read_text("utf-8"))
    decision = ZenEngine().create_decision(json.dumps(given["graph"]))
    began = time.perf_counter()
    found = [_LEVELS[int(decision.evaluate(row)["result"]["level"])] for row in given["rows"]]
    seconds = time.perf_counter() - began
    (folder / "found.json").write_text(json.dumps({"decisions": found, "seconds": seconds}), "utf-8")


if __name__ == "__main__":
    decide(Path(sys.argv[1]))
