"""Cached answers from an immutable snapshot."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any

from fastapi import Request
from starlette.responses import Response

from quintet.web.middleware import Metrics
from quintet.web.snapshots import Snapshot

_MOST_CACHED_BYTES = 64_000_000
_LARGEST_KEPT_BYTES = 2_000_000


class Answers:
    """A thread-safe cache of answers by snapshot and URL. code: the code version."""

    def __init__(self, metrics: Metrics, code: str, most_bytes: int = _MOST_CACHED_BYTES) -> None:
        self._metrics, self._code, self._most_bytes = metrics, code, most_bytes
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def json(self, request: Request, snapshot: Snapshot, make: Callable[[], Mapping[str, Any]]) -> Response:
        """Return the JSON of `make()`, from the cache if possible, or 304 if the client has it."""
        tag = self.tag(request, snapshot)
        if has_it(request, tag):
            return self.unchanged(tag)
        body = self.cached(tag, lambda: to_json(make()))
        return Response(body, media_type="application/json", headers=headers_of(tag))

    def cached(self, tag: str, make: Callable[[], bytes]) -> bytes:
        """Return the bytes of the answer with this tag; call `make` if they are not cached."""
        body = self._get(tag)
        self._metrics.answers.labels("made" if body is None else "kept").inc()
        if body is None:
            body = make()
            self._keep(tag, body)
        return body

    def tag(self, request: Request, snapshot: Snapshot, *varying: str) -> str:
        """Return the weak ETag of this URL's answer; `varying` is what it depends on besides the snapshot's part.

        Parameters may be given in any order. The order of the values of one parameter counts: it may order the answer.
        """
        query = sorted(request.query_params.multi_items(), key=itemgetter(0))  # stable: repeated ones keep their order
        parts = json.dumps([self._code, request.url.path, query, snapshot.part, varying])
        return f'W/"{snapshot.snapshot_id}-{hashlib.sha256(parts.encode()).hexdigest()[:16]}"'

    def unchanged(self, tag: str) -> Response:
        """Return 304: the client's answer is still valid."""
        self._metrics.answers.labels("unchanged").inc()
        return Response(status_code=304, headers=headers_of(tag))

    def _get(self, tag: str) -> bytes | None:
        with self._lock:
            body = self._cache.get(tag)
            if body is not None:
                self._cache.move_to_end(tag)
            return body

    def _keep(self, tag: str, body: bytes) -> None:
        if len(body) > _LARGEST_KEPT_BYTES:
            return
        with self._lock:
            if tag not in self._cache:
                self._cache[tag] = body
                self._bytes += len(body)
            while self._bytes > self._most_bytes:
                _, oldest = self._cache.popitem(last=False)
                self._bytes -= len(oldest)


def has_it(request: Request, tag: str) -> bool:
    """Return whether the client has the answer with this tag."""
    given = {part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")}
    return "*" in given or tag.removeprefix("W/") in given


def to_json(answer: Any) -> bytes:
    """Serialize to compact JSON; decimals become numbers, times ISO 8601."""
    return json.dumps(answer, default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def headers_of(tag: str) -> dict[str, str]:
    """Return the headers of an answer that a client may cache and must revalidate."""
    return {"etag": tag, "cache-control": "private, no-cache", "vary": "accept-encoding, authorization, cookie"}
