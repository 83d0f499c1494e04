"""From a firing event to its message, beside Debian's Alertmanager: how soon, how grouped, what is lost or sent twice.

Both get the same events, wait two seconds to group them, and post to the same kind of webhook. Alertmanager is given
firing alerts; Quintet finds them in the counts of a minute.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import os
import secrets
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx

from bench.alerts import Receiver, minute, receiving, send
from bench.comparators import DEBIAN, comparator
from bench.measure import PROJECT, BenchError, Line, MissingError
from quintet.embedded.processes import free_port
from quintet.payments.notifications import GROUP_WAIT

_AT_ONCE = 12
_FIRST, _SECOND = ([f"{name}_{number}" for number in range(_AT_ONCE)] for name in ("first", "second"))
_COUNT = 60  # of each series in its minute
_LEARNING_MINUTES, _QUIET_MINUTES = 120, 30
_MINUTES_TO_FIRE = 3  # the detector fires once a rise has lasted; all of them are sent at once
_SECONDS_TO_START, _SECONDS_TO_ARRIVE = 120.0, 90.0
_ROUNDS, _OUTAGE_SECONDS = 5, 30.0
_SECONDS_FOR_MORE = 1.5  # to wait for messages that are late or sent twice
_WITH_TEMPLATES = (
    "unshare",
    "-rm",
    "sh",
    "-c",
    'mount -t overlay share -o lowerdir="$0":/usr/share /usr/share && exec "$@"',
)
"""Runs a program that sees the folder after it in /usr/share, where Debian's Alertmanager looks for its templates."""
_CONFIG = """
route:
  receiver: hook
  group_by: [cause]
  group_wait: {wait}s
  group_interval: {wait}s
  repeat_interval: 4h
receivers:
  - name: hook
    webhook_configs: [{{url: "{url}", send_resolved: true}}]
"""


class Server:
    """A server that can be killed and started again on its data."""

    def __init__(self, command: Sequence[str], environment: dict[str, str], health: str) -> None:
        self._command, self._environment, self._health = [*command], os.environ | environment, health

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Kill it."""
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(
            self._command,
            cwd=PROJECT,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # both log each failed attempt
        )
        until = time.monotonic() + _SECONDS_TO_START
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise BenchError(f"{self._command[0]} did not start: {self._process.poll()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Kill it (SIGKILL)."""
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(self._health).status_code == 200
        return False


@dataclass
class Event:
    """Series that begin together. number: of the event in time. since: how many messages there were before it."""

    series: Sequence[str]
    number: int
    since: int


@dataclass
class Sender:
    """What turns events into messages.

    fire: sends the series of an event, also again. end: sends its end. named: the firing series of a message.
    """

    server: Server
    receiver: Receiver
    fire: Callable[[Event], None]
    end: Callable[[Event], None]
    named: Callable[[dict[str, Any]], list[str]]
    events: int = 0

    def begin(self, series: Sequence[str]) -> Event:
        """Send a new event."""
        event = Event(series, self.events, len(self.receiver.received))
        self.events += 1
        self.fire(event)
        return event

    def arrivals(self, event: Event) -> list[tuple[float, list[str]]]:
        """Return the time of each message since the event that names one of its series, with those that it names."""
        found = [(at, self.named(body)) for at, body in self.receiver.received[event.since :]]
        return [
            (at, [one for one in names if one in event.series]) for at, names in found if set(names) & {*event.series}
        ]

    def await_all(self, event: Event, seconds: float) -> float | None:
        """Wait until messages have named every series; return when the last one did, None if one is missing."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            at, missing = 0.0, set(event.series)
            for arrived, names in self.arrivals(event):
                at = arrived if missing & set(names) else at
                missing -= set(names)
            if not missing:
                return at
            time.sleep(0.01)
        return None

    def tally(self, event: Event) -> Counter[str]:
        """Return how many series no message names, and how often one is named beyond once."""
        times = Counter(one for _, names in self.arrivals(event) for one in names)
        return Counter(lost=len(set(event.series) - set(times)), doubled=sum(times.values()) - len(times))


@dataclass
class Outcome:
    """The seconds and messages of each round, and what an outage of the webhook and a kill did."""

    seconds: list[float] = field(default_factory=list)
    messages: list[int] = field(default_factory=list)
    after_outage: float = 0.0
    outage: Counter[str] = field(default_factory=Counter)
    kill: Counter[str] = field(default_factory=Counter)


def beside_alertmanager(quick: bool, folder: Path) -> list[Line]:
    """Return the lines of both senders, measured at the same time. A quick run leaves outage and kill out."""
    measure = _measure_once if quick else _measure
    with contextlib.ExitStack() as stack:
        senders = [stack.enter_context(_quintet(folder / "home", stack.enter_context(receiving())))]
        reason = ""
        try:
            senders.append(stack.enter_context(_alertmanager(folder / "am", stack.enter_context(receiving()))))
        except MissingError as missing:
            reason = f"skipped: {missing}"
        with ThreadPoolExecutor() as threads:
            own, *theirs = threads.map(measure, senders)
    return lines(own, theirs[0] if theirs else None, reason, quick)


@contextlib.contextmanager
def _quintet(home: Path, receiver: Receiver) -> Iterator[Sender]:
    key, port = secrets.token_hex(16), free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {"QUINTET_HOME": str(home), "QUINTET_PORT": str(port), "QUINTET_ADMIN_KEY": key}
    environment["QUINTET_ALERT_WEBHOOK_URL"] = receiver.url
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    minutes: dict[int, list[int]] = {}
    following = itertools.count(_LEARNING_MINUTES)

    def fire(event: Event) -> None:
        if event.number not in minutes:
            minutes[event.number] = [next(following) for _ in range(_MINUTES_TO_FIRE)]
        for number in minutes[event.number]:
            send(url, headers, minute(number, **dict.fromkeys(event.series, _COUNT)))

    def end(_: Event) -> None:
        for _ in range(_QUIET_MINUTES):
            send(url, headers, minute(next(following)))

    def named(body: dict[str, Any]) -> list[str]:
        return [one["series"] for one in body["incidents"] if one["state"] == "firing"]

    with Server([sys.executable, "-m", "quintet.web"], environment, f"{url}/healthz") as server:
        for number in range(_LEARNING_MINUTES):
            send(url, headers, minute(number))
        yield Sender(server, receiver, fire, end, named)


@contextlib.contextmanager
def _alertmanager(folder: Path, receiver: Receiver) -> Iterator[Sender]:
    program = comparator("alertmanager") / DEBIAN["alertmanager"]
    folder.mkdir()
    config = folder / "alertmanager.yml"
    config.write_text(_CONFIG.format(url=receiver.url, wait=GROUP_WAIT.seconds), "utf-8")
    url = f"http://127.0.0.1:{free_port()}"
    command = [*_WITH_TEMPLATES, str(program.parents[1] / "share")]
    if subprocess.run([*command, "true"], check=False, capture_output=True).returncode != 0:
        raise MissingError("unshare and mount, which show Alertmanager its templates in /usr/share, are not allowed")
    command += [str(program), f"--config.file={config}", f"--storage.path={folder / 'data'}"]
    command += [f"--web.listen-address={url.removeprefix('http://')}", "--cluster.listen-address="]

    def post(event: Event, **times: str) -> None:
        alerts = [
            {"labels": {"alertname": "status", "series": one, "cause": str(event.number)}, **times}
            for one in event.series
        ]
        httpx.post(f"{url}/api/v2/alerts", json=alerts).raise_for_status()

    def fire(event: Event) -> None:
        post(event, startsAt=_now())

    def end(event: Event) -> None:
        post(event, endsAt=_now())

    def named(body: dict[str, Any]) -> list[str]:
        return [one["labels"]["series"] for one in body["alerts"] if one["status"] == "firing"]

    with Server(command, {}, f"{url}/-/ready") as server:
        yield Sender(server, receiver, fire, end, named)


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat()


def _measure(sender: Sender) -> Outcome:
    found = Outcome()
    for _ in range(_ROUNDS):
        _end(sender, _round(sender, found))
    _fail(sender, found)
    _kill(sender, found)
    return found


def _measure_once(sender: Sender) -> Outcome:
    found = Outcome()
    _round(sender, found)
    return found


def _round(sender: Sender, found: Outcome) -> Event:
    began = time.monotonic()
    event = sender.begin(_FIRST)
    arrived = sender.await_all(event, _SECONDS_TO_ARRIVE)
    if arrived is None:
        raise BenchError(f"no message named all of {', '.join(_FIRST)} within {_SECONDS_TO_ARRIVE:.0f} s")
    time.sleep(_SECONDS_FOR_MORE)
    found.seconds.append(arrived - began)
    found.messages.append(len(sender.arrivals(event)))
    return event


def _end(sender: Sender, event: Event) -> None:
    sender.end(event)
    time.sleep(GROUP_WAIT.seconds + _SECONDS_FOR_MORE)  # the end is reported too


def _fail(sender: Sender, found: Outcome) -> None:
    """Let the webhook fail while an event waits."""
    sender.receiver.is_failing = True
    event = sender.begin(_FIRST)
    time.sleep(GROUP_WAIT.seconds + _OUTAGE_SECONDS)
    sender.receiver.is_failing = False
    began = time.monotonic()
    arrived = sender.await_all(event, _SECONDS_TO_ARRIVE)
    found.after_outage = float("inf") if arrived is None else arrived - began
    time.sleep(_SECONDS_FOR_MORE)
    found.outage = sender.tally(event)
    _end(sender, event)


def _kill(sender: Sender, found: Outcome) -> None:
    """Kill the sender once one event is delivered and another waits; afterwards the source sends both again."""
    delivered = sender.begin(_FIRST)
    sender.await_all(delivered, _SECONDS_TO_ARRIVE)
    waiting = sender.begin(_SECOND)
    sender.server.stop()
    sender.server.start()
    sender.await_all(waiting, GROUP_WAIT.seconds + _SECONDS_FOR_MORE)
    forgotten = sender.tally(waiting)["lost"]
    sender.fire(delivered)
    sender.fire(waiting)
    sender.await_all(waiting, _SECONDS_TO_ARRIVE)
    time.sleep(GROUP_WAIT.seconds + _SECONDS_FOR_MORE)
    found.kill = sender.tally(delivered) + sender.tally(waiting) + Counter(forgotten=forgotten)


def lines(own: Outcome, theirs: Outcome | None, reason: str, quick: bool) -> list[Line]:
    """Return the rows of the table. reason: why there are no figures of Alertmanager."""

    def line(what: str, figure: Callable[[Outcome], float], written: Callable[[Outcome], str]) -> Line:
        if theirs is None:
            return Line(f"messages: {what}", written(own), "", True, reason)
        is_first = figure(own) <= figure(theirs)
        return Line(f"messages: {what}", written(own), "at least as good", is_first, f"Alertmanager {written(theirs)}")

    def seconds(one: Outcome) -> float:
        return statistics.median(one.seconds)

    found = [
        line(f"event to message, {_AT_ONCE} series", seconds, lambda one: f"{seconds(one):.2f} s"),
        line("messages for them", lambda one: max(one.messages), lambda one: f"{max(one.messages)} at most"),
    ]
    if quick:
        return found
    return [
        *found,
        line(
            f"webhook fails for {_OUTAGE_SECONDS:g} s",
            lambda one: one.outage.total(),
            lambda one: f"{_in_words(one.outage)}, delivered {one.after_outage:.1f} s after it",
        ),
        line(
            f"killed with {_AT_ONCE} waiting, {_AT_ONCE} delivered, all sent again",
            lambda one: one.kill.total(),
            lambda one: f"{one.kill['forgotten']} forgotten until then, {_in_words(one.kill)}",
        ),
    ]


def _in_words(found: Counter[str]) -> str:
    return f"{found['lost']} lost, {found['doubled']} sent twice"
