"""Load on an HTTP service from keep-alive connections, cheap enough to leave the cores to the service.

Belongs here: sending prepared requests and timing the answers. Which requests, and what limits hold, belongs in the
benchmark.
"""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np


@dataclass(frozen=True)
class Load:
    """What came of a load: seconds of every answer in ms, how long it lasted, and answers that were no 200 or 304."""

    milliseconds: np.ndarray
    seconds: float
    failed: Sequence[str]

    @property
    def per_second(self) -> float:
        """Answers a second over all clients."""
        return len(self.milliseconds) / self.seconds

    def percentile(self, share: float) -> float:
        """The time, ms, within which this percentage of the answers came."""
        return float(np.percentile(self.milliseconds, share))


def put_under_load(
    url: str,
    paths: Sequence[str],
    headers: Mapping[str, str],
    clients: int,
    until: Callable[[], bool],
    bodies: Sequence[bytes] | None = None,
    per_second: float | None = None,
) -> Load:
    """Ask for the paths in turn from `clients` connections until `until` says so, checked between requests.

    bodies: what is posted, in turn; without any the paths are got. per_second: how many requests are begun in a second
    over all clients, at even intervals; as many as are answered if None. A request that begins late counts its delay.
    """
    turn, times, failed = itertools.cycle(paths), [], []
    contents = itertools.cycle(bodies or [None])
    method = "GET" if bodies is None else "POST"
    lock = threading.Lock()
    number = itertools.count()
    start = time.perf_counter()

    def following() -> tuple[str, bytes | None, float]:
        with lock:
            due = time.perf_counter() if per_second is None else start + next(number) / per_second
            return next(turn), next(contents), due

    def ask() -> None:
        connection = http.client.HTTPConnection(urlsplit(url).netloc)
        while not until():
            path, body, began = following()
            time.sleep(max(0.0, began - time.perf_counter()))
            try:
                connection.request(method, path, body, dict(headers))
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException) as error:
                failed.append(f"{path}: {error!r}")
                connection.close()
                continue
            times.append((time.perf_counter() - began) * 1000)
            if answer.status not in (200, 304):
                failed.append(f"{path}: {answer.status} {content[:200]!r}")
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load(np.array(times), time.perf_counter() - began, failed)


def for_seconds(seconds: float) -> Callable[[], bool]:
    """A condition that holds once the given time has passed."""
    end = time.perf_counter() + seconds
    return lambda: time.perf_counter() >= end
