"""The service under payments, with a disk that fills up, a clock that jumps, a webhook that fails, and kills."""

from __future__ import annotations

import datetime as dt
import json
import os
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import httpx
import numpy as np

from quintet.domains import open_state_store
from quintet.embedded.processes import free_port
from quintet.payments import store as payment_store
from quintet.payments.incidents import to_datetime
from quintet.payments.items import Item
from quintet.payments.monitor import Monitor
from quintet.state.store import StateStore
from tests.command import Python
from tests.unit.payments.teams import Receiver
from tests.waiting import LONG_SECONDS, wait_until
from tests.web.service import ADMIN, ADMIN_KEY

_LEARNING, _BETWEEN, _LASTING = 90, 60, 8
_MINUTES_A_REQUEST = 2

_WRITE_SECONDS = 3.0  # a heartbeat that was proven before may be on its way, on a busy machine
_REFUSAL_SECONDS = 5.0  # two seconds of refused counts, and the same


def minutes(first: int, seed: int) -> Iterator[list[Item]]:
    """Yield the counts of minute after minute without end; each hour denials are ten times as many for a while."""
    draw = np.random.default_rng(seed)
    number = 0
    while True:
        is_wrong = number >= _LEARNING and (number - _LEARNING) % _BETWEEN < _LASTING
        counts = {"approved": draw.poisson(100), "denied": draw.poisson(100 if is_wrong else 10)}
        yield [Item(first + number, status, int(count)) for status, count in counts.items()]
        number += 1


@dataclass
class PaymentWorld:
    """The service in its own process, and a client that sends each request until it is answered.

    sent: the accepted minutes. judged_nothing: the spans on the monotonic clock in which nothing could be judged, each
    after the time within which it has to be noticed.
    """

    folder: Path
    webhook: Receiver
    heart: Receiver
    first_minute: int
    seed: int
    sent: list[list[Item]] = field(default_factory=list)
    judged_nothing: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home, self.port, self.log = self.folder / "home", free_port(), self.folder / "service.log"
        self._offset = self.folder / "offset"
        self._stop = threading.Event()
        self._sender = threading.Thread(target=self._send)
        self._service: Python | None = None
        self.shift(0)

    def __enter__(self) -> PaymentWorld:
        self.start()
        self._sender.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end_sending()
        assert self._service is not None
        self._service.terminate()
        self._service.wait()

    def start(self) -> None:
        """Start the service and wait until it answers."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("QUINTET_")}
        environment |= {
            "QUINTET_HOME": str(self.home),
            "QUINTET_PORT": str(self.port),
            "QUINTET_ADMIN_KEY": ADMIN_KEY,
            "QUINTET_REQUESTS_PER_MINUTE": "1000000",
            "QUINTET_ALERT_WEBHOOK_URL": self.webhook.url,
            "QUINTET_HEARTBEAT_URL": self.heart.url,
        }
        arguments = ["-m", "tests.faults.shifted_service", str(self._offset)]
        self._service = Python(arguments, environment, output=self.log)
        wait_until(self._answers, self._last_log)

    def end_sending(self) -> None:
        """Let the client end with the request that it sends."""
        self._stop.set()
        self._sender.join(LONG_SECONDS)

    # -- faults --------------------------------------------------------------------------------------------------------

    def shift(self, seconds: float) -> None:
        """Set the clock of the service forward or back from the true time."""
        new = self._offset.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self._offset)

    @contextmanager
    def nothing_judged(self, noticed_within: float) -> Iterator[None]:
        """Record a span in which nothing can be judged."""
        began = time.monotonic()
        yield
        self.judged_nothing.append((began + noticed_within, time.monotonic()))

    def fill_disk(self, seconds: float) -> None:
        """Let no file of the service be written for some seconds, its log included."""
        assert self._service is not None
        resource.prlimit(self._service.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        with self.nothing_judged(_WRITE_SECONDS):
            time.sleep(seconds)
        resource.prlimit(self._service.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def set_clock(self, days: float, seconds: float) -> None:
        """Let the clock be wrong for some seconds. Behind the minutes that are sent, it refuses them all."""
        self.shift(days * 86_400)
        if days < 0:
            with self.nothing_judged(_REFUSAL_SECONDS):
                time.sleep(seconds)
        else:
            time.sleep(seconds)
        self.shift(0)

    def fail_webhook(self, status: int, seconds: float) -> None:
        """Let the webhook answer with an error for some seconds."""
        self.webhook.failing = status
        time.sleep(seconds)
        self.webhook.failing = None

    def kill(self) -> None:
        """Kill the service and start it again."""
        assert self._service is not None
        self._service.kill()
        self._service.wait()
        self.start()

    # -- what has come of it -------------------------------------------------------------------------------------------

    def messages(self) -> dict[str, dict[str, object]]:
        """Return the delivered messages by their key, as a receiver keeps them that takes each key once."""
        return {headers["idempotency-key"]: json.loads(body) for headers, body in list(self.webhook.taken)}

    def false_heartbeats(self) -> list[float]:
        """Return the heartbeats while nothing was judged: their seconds in the span."""
        beats = list(self.heart.attempted_at)
        return [beat - begin for begin, end in self.judged_nothing for beat in beats if begin < beat < end]

    # -- the client ----------------------------------------------------------------------------------------------------

    def _send(self) -> None:
        source = minutes(self.first_minute, self.seed)
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=ADMIN, timeout=LONG_SECONDS) as client:
            while not self._stop.is_set():
                together = [next(source) for _ in range(_MINUTES_A_REQUEST)]
                body = [as_json(item) for items in together for item in items]
                while not self._is_accepted(client, body):
                    time.sleep(0.02)
                self.sent += together

    def _is_accepted(self, client: httpx.Client, body: object) -> bool:
        with suppress(httpx.TransportError):
            answer = client.post("/v1/payments/transactions", json=body)
            return answer.is_success and all(item["is_accepted"] for item in answer.json()["items"])
        return False

    def _answers(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{self.port}/healthz").is_success
        return False

    def _last_log(self) -> str:
        return self.log.read_text()[-3_000:]


def without_faults(folder: Path, sent: list[list[Item]]) -> StateStore:
    """Return the store of a monitor that was sent the same minutes."""
    store = open_state_store(folder)
    monitor = Monitor(store)
    now = dt.datetime.now(dt.UTC)
    for begin in range(0, len(sent), 500):
        monitor.take(sent[begin : begin + 500], now)
    monitor.checkpoint()
    return store


def incidents_of(store: StateStore) -> dict[str, object]:
    return {one.incident_id: {**one.fields} for one in payment_store.incidents(store)}


def as_json(item: Item) -> dict[str, object]:
    return {"minute_at": f"{to_datetime(item.minute).isoformat()}Z", "status": item.status, "count": item.count}
