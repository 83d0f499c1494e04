"""Score in this process, or by an HTTP endpoint with a time-out and a circuit breaker."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import httpx

from quintet.http_client import async_http_client
from quintet.lending.active import Serving
from quintet.lending.scoring import REASONS, Scored


class NoScoreError(RuntimeError):
    """There is no score in time; the message says why."""


@dataclass(frozen=True)
class ScoredBy:
    """A score and the version of its model. sha256: of the model's file, None for an HTTP endpoint."""

    scored: Scored
    version: str
    sha256: str | None


class Scorer(Protocol):
    """A source of scores."""

    def inputs(self) -> frozenset[str] | None:
        """Return the names of the figures that it reads; None if that is unknown."""

    async def score(self, values: Mapping[str, float | None], seconds: float) -> ScoredBy:
        """Return the score of these figures within `seconds`. Raises NoScoreError."""

    async def close(self) -> None:
        """Close the connections."""


class InProcess:
    """Scores by the active model, in microseconds."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    def inputs(self) -> frozenset[str]:
        """Return the inputs of the active model; none without one."""
        kept = self._serving.now.model
        return frozenset() if kept is None else frozenset(kept.model.inputs)

    async def score(self, values: Mapping[str, float | None], seconds: float) -> ScoredBy:  # noqa: ARG002  # no wait
        """Return the score of these figures. Raises NoScoreError if no model is active or a figure is missing."""
        kept = self._serving.now.model
        if kept is None:
            raise NoScoreError("no scoring model is active")
        try:
            return ScoredBy(kept.model.score(values), kept.model.version, kept.sha256)
        except ValueError as error:
            raise NoScoreError(str(error)) from None

    async def close(self) -> None:
        """Do nothing: there are no connections."""


class Breaker:
    """A circuit breaker: opens after `most_failures` in a row, and lets one request try after `pause_seconds`."""

    def __init__(self, most_failures: int, pause_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._pause, self._clock = most_failures, pause_seconds, clock
        self._failures = 0
        self._open_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether requests are refused now."""
        return self._failures >= self._most and self._clock() < self._open_until

    def may_try(self) -> bool:
        """Return whether a request may be sent; after the pause, one may, and the others wait for its result."""
        if self.is_open:
            return False
        if self._failures >= self._most:
            self._open_until = self._clock() + self._pause
        return True

    def succeeded(self) -> None:
        """Note a valid answer."""
        self._failures = 0

    def failed(self) -> None:
        """Note a missing or invalid answer."""
        self._failures += 1
        self._open_until = self._clock() + self._pause


class Remote:
    """Scores by `POST url` with `{"values": {…}}`, as `POST /v1/lending/score` takes it."""

    def __init__(
        self,
        url: str,
        key: str | None,
        seconds: float,
        breaker: Breaker | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._url, self._seconds = url, seconds
        self._client = async_http_client(headers=headers, transport=transport)
        self.breaker = breaker or Breaker(5, 5.0)

    def inputs(self) -> None:
        """Return None: the endpoint does not name its inputs."""
        return

    async def score(self, values: Mapping[str, float | None], seconds: float) -> ScoredBy:
        """Return the endpoint's score within `seconds` and its own time-out. Raises NoScoreError."""
        if not self.breaker.may_try():
            raise NoScoreError("the scoring endpoint has failed too often and is not called for a while")
        within = min(seconds, self._seconds)
        try:
            async with asyncio.timeout(within):  # httpx limits each step, not their sum
                answer = await self._client.post(self._url, json={"values": dict(values)}, timeout=within)
            answer.raise_for_status()
            scored = _scored(answer.json())
        except (httpx.HTTPError, TimeoutError, ValueError, TypeError, KeyError) as error:
            self.breaker.failed()
            raise NoScoreError(f"the scoring endpoint returned no score: {_short(error)}") from None
        self.breaker.succeeded()
        return scored

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _scored(content: Mapping[str, object]) -> ScoredBy:
    probability, points, reasons, version = (
        content[name] for name in ("default_probability", "points", "reasons", "model_version")
    )
    if isinstance(probability, bool) or not isinstance(probability, (int, float)) or not 0 <= probability <= 1:
        raise ValueError(f"default_probability is {probability!r}, not a number from 0 to 1")
    if isinstance(points, bool) or not isinstance(points, int) or not math.isfinite(points):
        raise ValueError(f"points is {points!r}, not a whole number")
    if not isinstance(reasons, list) or not all(reason in REASONS for reason in reasons):
        raise ValueError("reasons has unknown codes")
    return ScoredBy(Scored(float(probability), points, tuple(reasons)), str(version), None)


def _short(error: Exception) -> str:
    """Describe an error without the endpoint's address."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"status {error.response.status_code}"
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return "it did not answer in time"
    return f"{type(error).__name__}: {error}"[:200] if not isinstance(error, httpx.HTTPError) else type(error).__name__
