"""Payments by dimension: the time and memory of a thousand values beside one, and of ten thousand.

Each row is a process of its own that receives the same number of single transactions, with an incident at the end.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from bench.measure import Line, options, print_lines
from quintet.domains import open_state_store
from quintet.payments import slices
from quintet.payments.incidents import to_minute
from quintet.payments.items import Item
from quintet.payments.monitor import Monitor

USUALLY = "1 minute"

_FIRST = to_minute(dt.datetime(2024, 1, 1))
_NOW = dt.datetime(2024, 6, 1, tzinfo=dt.UTC)
_MINUTES = 80
_BAD_MINUTES = 5
_DENIED_SHARE, _BAD_DENIED_SHARE = 0.1, 0.6
_MOST_TIMES = 2.0
_DIMENSIONS = ("merchant", "country")


def measure(values: int, a_minute: int) -> dict[str, float]:
    """Receive transactions of so many merchants; return seconds of CPU, the peak memory in MB, and the values named."""
    rng = np.random.default_rng(5)
    with tempfile.TemporaryDirectory() as folder, closing(open_state_store(Path(folder))) as store:
        monitor = Monitor(store, dimensions=_DIMENSIONS)
        began = time.process_time()
        for minute in range(_MINUTES):
            is_bad = minute >= _MINUTES - _BAD_MINUTES
            merchants = rng.zipf(1.3, a_minute) % values
            rate = np.where((merchants == min(1, values - 1)) & is_bad, _BAD_DENIED_SHARE, _DENIED_SHARE)
            statuses = np.where(rng.random(a_minute) < rate, "denied", "approved").tolist()
            items = [
                Item(
                    _FIRST + minute, status, 1, f"{minute}-{number}",
                    values=(("merchant", f"merchant {merchant}"), ("country", f"c{merchant % 30}")),
                )
                for number, (status, merchant) in enumerate(zip(statuses, merchants.tolist(), strict=True))
            ]  # fmt: skip
            monitor.take([items], _NOW)
        seconds = time.process_time() - began
        named = sum(len(found) for found in slices.explanations(store).values())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "megabytes": memory, "named": named}


def _in_process(values: int, a_minute: int) -> dict[str, float]:
    code = f"import json; from bench.dimensions import measure; print(json.dumps(measure({values}, {a_minute})))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main(arguments: list[str]) -> int:
    """Measure and print; the exit status is 1 if a limit is missed."""
    given: argparse.Namespace = options("dimensions", __doc__).parse_args(arguments)
    a_minute = 300 if given.quick else 3_000
    by_values = {values: _in_process(values, a_minute) for values in (1, 1_000, 10_000)}
    one = by_values[1]
    lines = []
    for values, found in by_values.items():
        times, bytes_ = found["seconds"] / one["seconds"], found["megabytes"] / one["megabytes"]
        is_limited = values == 1_000
        lines.append(
            Line(
                f"{values:,} values, {_MINUTES * a_minute:,} transactions",
                f"{found['seconds']:.1f} s of CPU ({times:.2f} times), {found['megabytes']:.0f} MB "
                f"({bytes_:.2f} times), {found['named']:.0f} named",
                "at most twice the time and memory of one" if is_limited else "",
                not is_limited or max(times, bytes_) <= _MOST_TIMES,
            )
        )
    return print_lines("Payments by dimension", lines)
