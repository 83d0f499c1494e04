"""The outbox worker: a delivery thread for each channel, and the heartbeat of the monitoring itself."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial

import structlog

from quintet.delivery.webhook import Delivery, DeliveryError, Send, post
from quintet.state.outbox import claim, mark_failed, mark_sent, retry_now
from quintet.state.store import StateStore

HEARTBEAT_SECONDS = 60.0

_POLL_SECONDS = 0.5
_CLOCK_TOLERANCE_SECONDS = 1.0
_LOG = structlog.get_logger()


def deliver(store: StateStore, channel: str, send: Send, now: dt.datetime) -> bool:
    """Try to deliver a due message of a channel; return whether there was one."""
    message = claim(store, channel, now)
    if message is None:
        return False
    try:
        send(Delivery(message.key, message.body, now))
    except DeliveryError as error:
        mark_failed(store, message, now, str(error), is_refused=error.is_refused, wait=error.wait)
        _LOG.warning("message refused", channel=channel, key=message.key, attempt=message.attempts, error=str(error))
    except Exception as error:  # of a library behind the channel: it must not block the messages after this one
        _LOG.exception("message could not be sent", channel=channel, key=message.key, attempt=message.attempts)
        mark_failed(store, message, now, f"failed: {type(error).__name__}; see the log", is_refused=True)
    else:
        mark_sent(store, message, now)
        _LOG.info("message delivered", channel=channel, key=message.key, attempt=message.attempts)
    return True


class ClockWatch:
    """Notices that the clock was set back, by a clock that cannot be set."""

    def __init__(self, clock: Callable[[], dt.datetime], monotonic: Callable[[], float]) -> None:
        self._clock, self._monotonic = clock, monotonic
        self._difference = self._measure()

    def was_set_back(self) -> bool:
        """Return whether the clock was set back since the last call."""
        before, self._difference = self._difference, self._measure()
        return self._difference < before - _CLOCK_TOLERANCE_SECONDS

    def _measure(self) -> float:
        return self._clock().timestamp() - self._monotonic()


class OutboxWorker:
    """Delivers from `start` to `stop`. heartbeat_url: requested every minute while `is_healthy` returns True."""

    def __init__(
        self,
        store: StateStore,
        channels: Mapping[str, Send],
        clock: Callable[[], dt.datetime],
        heartbeat_url: str | None = None,
        is_healthy: Callable[[], bool] = lambda: True,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._store, self._channels, self._clock = store, channels, clock
        self._heartbeat_url, self._is_healthy, self._heartbeat_seconds = heartbeat_url, is_healthy, heartbeat_seconds
        self._stopped, self._news = threading.Event(), threading.Condition()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start delivery."""
        for channel, send in self._channels.items():
            self._begin(f"outbox_worker {channel}", partial(self._run, channel, send))
        if self._heartbeat_url:
            self._begin("heartbeat", self._beat)

    def wake(self) -> None:
        """Wake the delivery threads: the outbox has a new message."""
        with self._news:
            self._news.notify_all()

    def stop(self) -> None:
        """Stop after the current attempts."""
        self._stopped.set()
        self.wake()
        for thread in self._threads:
            thread.join()

    @property
    def is_alive(self) -> bool:
        """Whether every thread runs."""
        return all(thread.is_alive() for thread in self._threads)

    def _begin(self, name: str, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _run(self, channel: str, send: Send) -> None:
        clock = ClockWatch(self._clock, time.monotonic)
        while not self._stopped.is_set():
            try:
                if clock.was_set_back():
                    retry_now(self._store, channel, self._clock())
                did_try = deliver(self._store, channel, send, self._clock())
            except Exception:  # a full disk or a locked store: retried
                _LOG.exception("outbox cannot be read or written", channel=channel)
                did_try = False
            if not did_try:
                with self._news:
                    self._news.wait(_POLL_SECONDS)

    def _beat(self) -> None:
        assert self._heartbeat_url is not None
        while True:
            if self._is_healthy():
                try:
                    post(self._heartbeat_url, None, {})
                except DeliveryError as error:
                    _LOG.warning("heartbeat not accepted", error=str(error))
            else:
                _LOG.error("no heartbeat: monitoring is not healthy")
            if self._stopped.wait(self._heartbeat_seconds):
                return
