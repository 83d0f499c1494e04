"""Load on an HTTP service from keep-alive connections, cheap enough to leave the cores to the service."""

from __future__ import annotations

import gc
import itertools
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np

from bench.measure import BenchError

_READ_BYTES = 1 << 16
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Load:
    """The times of all responses, the seconds that the load lasted, and the responses other than 200 or 304."""

    milliseconds: np.ndarray
    seconds: float
    failed: Sequence[str]

    @property
    def per_second(self) -> float:
        """Return the answers a second over all clients."""
        return len(self.milliseconds) / self.seconds

    def percentile(self, share: float) -> float:
        """Return the time, ms, within which this percentage of the answers came."""
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
    """Request the paths in turn from `clients` connections until `until` returns true between two requests.

    bodies: the bodies to POST, in turn; without any, send GET. per_second: the requests to start in a second over all
    clients, at even intervals; None for no limit. A request that starts late counts its delay.
    """
    gc.collect()
    gc.freeze()  # garbage collection here would be timed as the service's
    turn, times, failed = itertools.cycle(paths), [], []
    contents = itertools.cycle(bodies or [b""])
    method = "GET" if bodies is None else "POST"
    where = urlsplit(url)
    common = "".join(f"{name}: {value}\r\n" for name, value in {"host": where.netloc, **headers}.items())
    lock = threading.Lock()
    number = itertools.count()
    start = time.perf_counter()

    def following() -> tuple[str, bytes, float]:
        with lock:
            due = time.perf_counter() if per_second is None else start + next(number) / per_second
            path, content = next(turn), next(contents)
        head = f"{method} {path} HTTP/1.1\r\n{common}content-length: {len(content)}\r\n\r\n"
        return path, head.encode() + content, due

    def ask() -> None:
        connection = _connected(where.hostname, where.port)
        is_first = True  # each client sends at least one request, however busy the machine is
        while is_first or not until():
            is_first = False
            path, request, began = following()
            time.sleep(max(0.0, began - time.perf_counter()))
            try:
                connection.sendall(request)
                status, content = _answer(connection)
            except OSError as error:
                failed.append(f"{path}: {error!r}")
                connection.close()
                connection = _connected(where.hostname, where.port)
                continue
            times.append((time.perf_counter() - began) * 1000)
            if status not in (200, 304):
                failed.append(f"{path}: {status} {content[:200]!r}")
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not times:
        raise BenchError(f"no request was answered: {failed[0]}")
    return Load(np.array(times), time.perf_counter() - began, failed)


def _connected(host: str | None, port: int | None) -> socket.socket:
    connection = socket.create_connection((host, port), _PATIENCE_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _answer(connection: socket.socket) -> tuple[int, bytes]:
    """Return status and body; the standard library's client takes as long to read as the service to answer."""
    received = b""
    while (end := received.find(b"\r\n\r\n")) < 0:
        received += _more(connection)
    head, body = received[:end].lower(), received[end + 4 :]
    place = head.find(b"\r\ncontent-length:")
    length = int(head[place + 17 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
    while len(body) < length:
        body += _more(connection)
    return int(head.split(b" ", 2)[1]), body


def _more(connection: socket.socket) -> bytes:
    part = connection.recv(_READ_BYTES)
    if not part:
        raise ConnectionResetError("the service closed the connection")
    return part


def for_seconds(seconds: float) -> Callable[[], bool]:
    """Return a condition that holds once the given time has passed."""
    end = time.perf_counter() + seconds
    return lambda: time.perf_counter() >= end
