"""Payment alerts: time per point, the endpoint under load, and the delay from an event to its chart and its card.

`--failing-minutes 10` takes the full ten minutes of a failing webhook (one minute by default).
"""

from __future__ import annotations

import datetime as dt
import http.client
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from bench.http_load import for_seconds, put_under_load
from bench.measure import BenchError, Line, options, print_lines
from bench.serve import service
from quintet.payments.backtest import minutes_in_order
from quintet.payments.detector import Detector
from quintet.samples.payments import PaymentsWorld, transaction_minutes

USUALLY = "3 minutes"

_PATH = "/v1/payments/transactions"
_PER_SECOND = 500
_TRANSACTIONS_A_MINUTE = 50
_CLIENTS = 8
_FIRST_DAY = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
_INCIDENTS = 12
_SECONDS_FOR_DOUBLES = 3  # to wait for messages that are sent twice


class Receiver:
    """A stand-in for a webhook that records messages with their times; it can be made to fail."""

    def __init__(self) -> None:
        self.is_failing = False
        self.received: list[tuple[float, dict[str, Any]]] = []
        self.url = ""


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Yield a receiver on this machine for as long as the body runs."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Record a message, or fail."""
            body = self.rfile.read(int(self.headers["content-length"]))
            if not receiver.is_failing:
                receiver.received.append((time.monotonic(), json.loads(body)))
            self.send_response(503 if receiver.is_failing else 202)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
    yield receiver
    server.shutdown()


def minute(number: int, **counts: int) -> list[dict[str, Any]]:
    """Return the items of a minute, with usual counts unless given; `number` counts minutes from the first day."""
    at = (_FIRST_DAY + dt.timedelta(minutes=number)).isoformat()
    usual = {"approved": 100, "denied": 10, "reversed": 1} | counts
    return [{"minute_at": at, "status": status, "count": count} for status, count in usual.items()]


def transaction(first: int, number: int) -> dict[str, Any]:
    """Return a transaction of a stream that begins with the minute `first`; one in ten is denied."""
    at = _FIRST_DAY + dt.timedelta(minutes=first + number // _TRANSACTIONS_A_MINUTE)
    status = "denied" if number % 10 == 0 else "approved"
    return {"minute_at": at.isoformat(), "status": status, "transaction_id": f"{first}-{number}"}


def measure_scoring() -> Line:
    """Measure the scoring of a point, over two generated days."""
    minutes, _ = transaction_minutes(PaymentsWorld(days=2, checkout_days=1), seed=11)
    detector, points = Detector(), 0
    ordered = list(minutes_in_order(minutes))
    began = time.perf_counter()
    for at, counts, is_observed in ordered:
        points += len(detector.observe(at, counts, is_observed).points)
    each = (time.perf_counter() - began) * 1000 / points
    return Line("scoring a point", f"{each:.3f} ms over {points:,} points", "at most 0.1 ms", each <= 0.1)


def measure_merchants(merchants: int) -> Line:
    """Measure the scoring of one minute for many merchants, each with its own detector."""
    detectors = [Detector() for _ in range(merchants)]
    start = _FIRST_DAY.replace(tzinfo=None)
    rng = np.random.default_rng(3)
    for number in range(2):
        counts = rng.poisson([20, 2, 0.1], (merchants, 3)).tolist()
        at = start + dt.timedelta(minutes=number)
        began = time.perf_counter()
        for detector, (approved, denied, reversed_) in zip(detectors, counts, strict=True):
            detector.observe(at, {"approved": approved, "denied": denied, "reversed": reversed_})
        seconds = time.perf_counter() - began
    return Line(f"a minute of {merchants:,} merchants", f"{seconds:.1f} s", "at most 10 s", seconds <= 10)


def send(url: str, headers: Mapping[str, str], items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Send one request on a new connection and return the response."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    connection.request("POST", _PATH, json.dumps(items).encode(), dict(headers))
    answer = connection.getresponse()
    body: dict[str, Any] = json.loads(answer.read())
    connection.close()
    if answer.status != 200:
        raise BenchError(f"{answer.status}: {body}")
    return body


def measure_endpoint(url: str, headers: Mapping[str, str], seconds: float, first: int) -> tuple[list[Line], int]:
    """Send single transactions at a fixed rate from several connections; return also the next minute's number.

    Ten simulated minutes pass in a second, so that minutes are scored meanwhile.
    """
    count = int(_PER_SECOND * seconds)
    bodies = [json.dumps(transaction(first, number)).encode() for number in range(2 * count)]
    load = put_under_load(url, [_PATH], headers, _CLIENTS, for_seconds(seconds), bodies, _PER_SECOND)
    p50, p99, rate = load.percentile(50), load.percentile(99), load.per_second
    return [
        Line(
            f"endpoint at {_PER_SECOND} requests/s, a transaction each",
            f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, {rate:,.0f} requests/s",
            "p99 at most 20 ms",
            p99 <= 20 and rate >= 0.95 * _PER_SECOND,
        ),
        Line(
            "answers that failed", f"{len(load.failed)} {load.failed[:1] or ''}", "none", not load.failed, is_exact=True
        ),
    ], first + len(load.milliseconds) // _TRANSACTIONS_A_MINUTE + 1


def measure_chart(url: str, headers: Mapping[str, str], first: int, rounds: int) -> tuple[Line, int]:
    """Measure the time from sending a minute until a listener reads its event; a page draws it within 0.25 s."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    connection.request("GET", "/v1/payments/stream", headers=dict(headers))
    stream = connection.getresponse()
    stream.readline()
    times = []
    for number in range(first, first + rounds):
        began = time.perf_counter()
        send(url, headers, minute(number))
        at = (_FIRST_DAY + dt.timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
        while at.encode() not in stream.readline():
            pass
        times.append(time.perf_counter() - began)
    connection.close()
    worst = max(times) + 0.25
    figure = f"median {statistics.median(times) * 1000:.0f} ms to the listener, at most {worst:.2f} s drawn"
    return Line("event to chart", figure, "at most 1 s", worst <= 1), first + rounds


def measure_card(url: str, headers: Mapping[str, str], receiver: Receiver, first: int) -> tuple[Line, int]:
    """Measure the time from sending the minute that fires until the webhook has its message."""
    before = len(receiver.received)
    began = time.monotonic()
    send(url, headers, minute(first, denied=90))
    while len(receiver.received) == before and time.monotonic() - began < 60:
        time.sleep(0.01)
    seconds = receiver.received[before][0] - began if len(receiver.received) > before else float("inf")
    return Line("event to delivered message", f"{seconds:.1f} s", "at most 5 s", seconds <= 5), first + 1


def measure_failing(
    url: str, headers: Mapping[str, str], receiver: Receiver, first: int, minutes: float, incidents: int
) -> tuple[Line, int]:
    """Start and end incidents while the webhook fails; afterwards each start and end must arrive exactly once."""
    before = len(receiver.received)
    receiver.is_failing = True
    known = 0
    number = first
    began = time.monotonic()
    for place in range(incidents):
        # half an hour of quiet ends the previous incident
        for _ in range(30):
            send(url, headers, minute(number))
            number += 1
        answer = send(url, headers, minute(number, **{f"burst_{place}": 30}))
        known += answer["items"][-1]["incident_id"] is not None
        number += 1
        for _ in range(3):
            send(url, headers, minute(number, **{f"burst_{place}": 30}))
            number += 1
        time.sleep(max(began + (place + 1) * minutes * 60 / incidents - time.monotonic(), 3))
    receiver.is_failing = False
    fired: list[str] = []
    end = time.monotonic() + 120
    while time.monotonic() < end and len(set(fired)) < incidents:
        time.sleep(0.5)
        fired = [
            one["incident_id"]
            for _, body in receiver.received[before:]
            for one in body["incidents"]
            if one["state"] == "firing" and one["series"].startswith("burst_")
        ]
    time.sleep(_SECONDS_FOR_DOUBLES)
    keys = [body["key"] for _, body in receiver.received[before:]]
    doubled = len(keys) - len(set(keys)) + len(fired) - len(set(fired))
    lost = incidents - len(set(fired))
    figure = f"{incidents} incidents, {len(keys)} messages: {lost} lost, {doubled} doubled"
    return Line(
        f"{minutes:g} minutes of a failing webhook",
        figure,
        "none lost, none doubled",
        not lost + doubled,
        is_exact=True,
    ), number


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and return the exit status."""
    parser = options("alerts", __doc__)
    parser.add_argument("--failing-minutes", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long the endpoint is put under load")
    given = parser.parse_args(arguments)
    if given.quick:
        given.failing_minutes, given.seconds = 0.1, 1.0
    merchants, incidents, rounds = (500, 1, 5) if given.quick else (10_000, _INCIDENTS, 20)
    lines = [measure_scoring(), measure_merchants(merchants)]
    with tempfile.TemporaryDirectory() as folder, receiving() as receiver:
        home = Path(folder) / "home"
        with service(home, QUINTET_ALERT_WEBHOOK_URL=receiver.url) as (url, headers):
            for number in range(120):
                send(url, headers, minute(number))
            under_load, following = measure_endpoint(url, headers, given.seconds, 120)
            chart, following = measure_chart(url, headers, following, rounds)
            card, following = measure_card(url, headers, receiver, following)
            failing, _ = measure_failing(url, headers, receiver, following, given.failing_minutes, incidents)
    return print_lines("Payment alerts", [*lines, *under_load, chart, card, failing])
