"""The separate process of `bench/stream.py`: commit at a fixed rate over several connections.

Arguments: URL of the database, commits a second, seconds, and the file for the loans with the times of their commits.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
import time
from pathlib import Path

import psycopg

from quintet.samples.lending_traffic import run_at_rate

_CONNECTIONS = 8


def commit(url: str, rate: int, seconds: float, noted: Path) -> None:
    """Commit `rate` times a second over several connections, and record each loan with the time of its commit.

    Every commit is on disk when it returns (synchronous_commit = on, fsync = on).
    """
    committed: list[tuple[int, float]] = []
    with psycopg.connect(url) as connection:
        (first, clients) = connection.execute(
            'select max(loan.id) + 1, (select max(id) from "user") from loan'
        ).fetchone() or (1, 1)
    numbers = itertools.count(first)

    def work() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("set synchronous_commit = on")

            def step() -> None:
                number = next(numbers)
                connection.execute(
                    "insert into loan (id, client_id, amount, created_on, duration, status, updated_on) "
                    "values (%s, %s, 100, '2020-08-24', 30, 'application', '2020-08-24')",
                    (number, number % clients + 1),
                )
                committed.append((number, time.time()))

            run_at_rate(step, rate / _CONNECTIONS, seconds, time.monotonic, time.sleep)

    workers = [threading.Thread(target=work) for _ in range(_CONNECTIONS)]
    for worker in workers:
        worker.start()
        time.sleep(1 / rate)  # so that they do not all commit at once
    for worker in workers:
        worker.join()
    noted.write_text(json.dumps(committed))


if __name__ == "__main__":
    commit(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))
