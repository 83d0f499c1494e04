"""Who asks, and whether they may."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request
from fastapi.security import HTTPBearer
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from quintet.state.keys import Key, recognise
from quintet.state.sessions import key_of_session
from quintet.state.store import Store
from quintet.web.problems import DECLARED, ProblemError

COOKIE = "quintet_session"

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_WRONG_KEYS = RateLimitItemPerMinute(20)

_BEARER = HTTPBearer(auto_error=False, description="A key made with `make keys`, or the first one of `make run`.")
"""Only so that the OpenAPI document names the scheme; `Gate` reads the header."""


class Allowance:
    """How many requests a key may make in a minute, over a window that slides: the minute before counts by its part.

    In place of the storage in memory of `limits`, which starts a thread for nearly every hit. clock: UTC.
    """

    def __init__(self, most: int, clock: Callable[[], dt.datetime]) -> None:
        self.most, self._clock = most, clock
        self._lock = threading.Lock()
        self._counts: dict[str, tuple[int, int, int]] = {}

    def take(self, who: str) -> int | None:
        """Count a request; None if it is allowed, else the seconds until one may be again."""
        minute, second = divmod(self._clock().timestamp(), 60)
        with self._lock:
            last, count, before = self._counts.get(who, (int(minute), 0, 0))
            if last != int(minute):
                before, count = (count if last == int(minute) - 1 else 0), 0
            is_allowed = before * (1 - second / 60) + count < self.most
            self._counts[who] = int(minute), count + is_allowed, before
        return None if is_allowed else max(1, round(60 - second))


@dataclass(frozen=True)
class Gate:
    """Recognises who asks. `clock` gives the time in UTC; `admin_key` is the one of the settings, if any."""

    store: Store
    admin_key: str | None
    clock: Callable[[], dt.datetime]
    requests: Allowance
    limiter: SlidingWindowCounterRateLimiter

    def key_of(self, request: Request) -> Key | None:
        """The key that a request carries in its header or, through a session, in its cookie; None without a good one.

        Raises ProblemError 403 for a change asked by a page of another site with the reader's cookie.
        """
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return recognise(self.store, text.strip(), self.admin_key)
        cookie = request.cookies.get(COOKIE)
        if not cookie:
            return None
        if request.method not in _SAFE_METHODS and not is_same_site(request):
            raise ProblemError(403, "a change was asked by a page of another site; open the page of Quintet itself")
        return key_of_session(self.store, cookie, self.clock(), has_admin_key=self.admin_key is not None)

    def count(self, key: Key) -> None:
        """Count a request; raises ProblemError 429 above the limit."""
        seconds = self.requests.take(key.key_id)
        if seconds is not None:
            detail = f"more than {self.requests.most:,} requests with this key in a minute; wait {seconds} s"
            raise ProblemError(429, detail, {"retry-after": str(seconds)})

    def check_guesses(self, request: Request) -> None:
        """Raises ProblemError 429 for an address that gave too many wrong keys; right ones are never counted."""
        if not self.limiter.test(_WRONG_KEYS, _address(request)):
            reset = self.limiter.get_window_stats(_WRONG_KEYS, _address(request)).reset_time
            seconds = max(1, round(reset - self.clock().timestamp()))
            detail = f"{_WRONG_KEYS.amount:,} wrong keys in a minute; wait {seconds} s"
            raise ProblemError(429, detail, {"retry-after": str(seconds)})

    def count_wrong_key(self, request: Request) -> None:
        """Count a sign-in with a key that is not known against its address."""
        self.limiter.hit(_WRONG_KEYS, _address(request))


def _address(request: Request) -> str:
    return f"sign-in {request.client.host if request.client else ''}"


def build_gate(store: Store, admin_key: str | None, clock: Callable[[], dt.datetime], requests_per_minute: int) -> Gate:
    """A gate whose counts live in this process."""
    limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
    return Gate(store, admin_key, clock, Allowance(requests_per_minute, clock), limiter)


def is_same_site(request: Request) -> bool:
    """Whether a request comes from a page of this service, as far as a browser says; programs say nothing."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


class Requires:
    """The dependency of every route that needs a key: with the given scope, or any where the scope is None."""

    def __init__(self, scope: str | None) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> Key:
        """The key that asks. Raises ProblemError 401, 403 or 429.

        A read of the store takes microseconds; a thread of its own for it would cost ten times as much.
        """
        gate: Gate = request.app.state.gate
        key = gate.key_of(request)
        if key is None:
            detail = "a good key is needed in the header `Authorization: Bearer …`; there is none, or it was revoked"
            raise ProblemError(401, detail, {"www-authenticate": "Bearer"})
        request.state.key = key
        gate.count(key)
        if self.scope is not None and not key.allows(self.scope):
            raise ProblemError(403, f"the key of {key.name} lacks the scope {self.scope}; ask for one that has it")
        return key


def guarded_router(scope: str | None, **options: object) -> APIRouter:
    """A router whose every route needs a key with `scope` (any key where None) and declares its problems."""
    return APIRouter(
        dependencies=[Depends(Requires(scope)), Depends(_BEARER)],
        responses=DECLARED,
        **options,  # type: ignore[arg-type]
    )
