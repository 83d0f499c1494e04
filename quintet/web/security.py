"""Authentication, scopes and rate limits of requests."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from fastapi import APIRouter, Depends, Request
from fastapi.security import HTTPBearer

from quintet.state.faults import STATE_FAULTS
from quintet.state.keys import ENVIRONMENT_KEY_ID, Key, digest, key_of_id, recognise
from quintet.state.secrets import secret_of
from quintet.state.sessions import admin_mark, key_of_session
from quintet.state.store import StateStore
from quintet.state.wrong_keys import count_wrong_key
from quintet.web.guesses import WRONG_KEYS, Guesses
from quintet.web.problems import DECLARED, ProblemError
from quintet.web.recognised import FRESH_SECONDS, Recognised
from quintet.web.row_access import check_binding_of

COOKIE = "quintet_session"

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}

_BEARER = HTTPBearer(auto_error=False, description="A key from `make keys`, or the first key of `make run`.")
"""Declares the scheme in the OpenAPI document; `Gate` reads the header."""


class Allowance:
    """A rate limit per key over a sliding minute: the previous minute counts in proportion.

    Replaces the memory storage of `limits`, which starts a thread for nearly every hit. clock: UTC.
    """

    def __init__(self, most: int, clock: Callable[[], dt.datetime]) -> None:
        self.most, self._clock = most, clock
        self._lock = threading.Lock()
        self._counts: dict[str, tuple[int, int, int]] = {}

    def take(self, who: str) -> int | None:
        """Count a request; return None if it is allowed, else the seconds until the next one is."""
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
    """Recognises the key of a request. `clock` returns the time in UTC; `admin_key` is from the settings, if any."""

    store: StateStore
    admin_key: str | None
    clock: Callable[[], dt.datetime]
    requests: Allowance
    guesses: Guesses
    admin_mark: str | None
    recognised: Recognised

    async def key_of(self, request: Request) -> Key | None:
        """Return the key of the request's header or of its session cookie; None without a valid one.

        Raises ProblemError 403 for a change that a page of another site requests with the reader's cookie, and 429
        after too many wrong keys.
        """
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await self.key_with(request, text.strip())
        cookie = request.cookies.get(COOKIE)
        if not cookie:
            return None
        if request.method not in _SAFE_METHODS and not is_same_site(request):
            raise ProblemError(403, "the change was requested by a page of another site; use a page of Quintet itself")
        return self._of_session(cookie)

    async def key_with(self, request: Request, text: str) -> Key | None:
        """Return the key with this secret; count a wrong one. Raises ProblemError 429 after too many wrong keys."""
        try:
            known = self.recognised.find(f"key {digest(text)}", lambda: recognise(self.store, text, None))
        except STATE_FAULTS:
            if self.admin_key is None:
                raise
            known = None  # the admin key of the settings needs no store
        if known is not None or not text:
            return known
        host = request.client.host if request.client else ""
        if self.admin_key is not None and await self.guesses.may_compare(host):
            known = recognise(self.store, text, self.admin_key)
            if known is not None:
                return known
        if await self.guesses.count(host):
            detail = f"more than {WRONG_KEYS} wrong keys in a minute; wait a minute, or use a right one"
            raise ProblemError(429, detail, {"retry-after": "60"})
        return None

    def is_still_allowed(self, request: Request) -> bool:
        """Return whether the key of a request that was let in is still valid, and its session open."""
        key: Key = request.state.key
        cookie = request.cookies.get(COOKIE)
        if cookie and "authorization" not in request.headers:
            return self._of_session(cookie) is not None
        if key.key_id == ENVIRONMENT_KEY_ID:
            return True
        return self.recognised.find(f"id {key.key_id}", lambda: key_of_id(self.store, key.key_id)) is not None

    def signed_out(self, cookie: str) -> None:
        """Look a session up again the next time."""
        self.recognised.forget(f"session {digest(cookie)}")

    def _of_session(self, cookie: str) -> Key | None:
        return self.recognised.find(
            f"session {digest(cookie)}", lambda: key_of_session(self.store, cookie, self.clock(), self.admin_mark)
        )

    def count(self, key: Key) -> None:
        """Count a request. Raises ProblemError 429 above the limit."""
        seconds = self.requests.take(key.key_id)
        if seconds is not None:
            detail = f"more than {self.requests.most:,} requests with this key in a minute; wait {seconds} s"
            raise ProblemError(429, detail, {"retry-after": str(seconds)})


def build_gate(
    store: StateStore,
    admin_key: str | None,
    clock: Callable[[], dt.datetime],
    requests_per_minute: int,
    random_bytes: Callable[[int], bytes],
) -> Gate:
    """Return a gate that counts requests in this process, and wrong keys with the other services of the store."""
    mark = None if admin_key is None else admin_mark(admin_key, secret_of(store, "sessions", random_bytes))
    recognised = Recognised(0.0 if store.is_file else FRESH_SECONDS, time.monotonic)
    shared = None if store.is_file else partial(count_wrong_key, store, most=WRONG_KEYS)
    guesses = Guesses(shared=shared)
    return Gate(store, admin_key, clock, Allowance(requests_per_minute, clock), guesses, mark, recognised)


def is_same_site(request: Request) -> bool:
    """Return whether a request comes from a page of this service, by the browser's headers; programs send none."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host")


class Requires:
    """The dependency of a route that needs a key with the given scope, or any key if the scope is None."""

    def __init__(self, scope: str | None) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> Key:
        """Return the key of the request. Raises ProblemError 401, 403 or 429.

        It reads the store on the event loop: microseconds, a tenth of what a thread would cost.
        """
        gate: Gate = request.app.state.gate
        key = await gate.key_of(request)
        if key is None:
            detail = "a valid key is needed in the header `Authorization: Bearer …`; there is none, or it was revoked"
            raise ProblemError(401, detail, {"www-authenticate": "Bearer"})
        request.state.key = key
        gate.count(key)
        if self.scope is not None and not key.allows(self.scope):
            raise ProblemError(403, f"the key of {key.name} lacks the scope {self.scope}; use a key that has it")
        check_binding_of(request, key)
        return key


def guarded_router(scope: str | None, **options: object) -> APIRouter:
    """Return a router whose routes need a key with `scope` (any key if None) and declare their problems."""
    return APIRouter(
        dependencies=[Depends(Requires(scope)), Depends(_BEARER)],
        responses=DECLARED,
        **options,  # type: ignore[arg-type]
    )
