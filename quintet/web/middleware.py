"""Middleware for every request: ids, metrics, security headers and limits on bodies."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Callable

import structlog
from fastapi import FastAPI, Request
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quintet.web.forms import whole_number
from quintet.web.problems import ProblemError, problem_response

_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_LOG = structlog.get_logger()
_CLOSE = {"connection": "close"}

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
)


class Metrics:
    """The service's Prometheus metrics."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.seconds = Histogram(
            "quintet_request_seconds",
            "Seconds from a request to the end of its answer.",
            ["method", "route", "status"],
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
            registry=self.registry,
        )
        self.answers = Counter(
            "quintet_answers",
            "Answers by origin: made, kept (cached) or unchanged (304).",
            ["how"],
            registry=self.registry,
        )


class RequestMiddleware:
    """Gives a request its id, measures and logs it, adds headers, and answers uncaught errors with a problem."""

    def __init__(self, app: ASGIApp, metrics: Metrics, clock: Callable[[], float] = time.perf_counter) -> None:
        self.app, self.metrics, self.clock = app, metrics, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = self.clock()
        request = Request(scope)
        given = request.headers.get("x-request-id", "")
        request_id = given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = message.get("headers", ())
                names = {name for name, _ in own}
                common = (header for header in _HEADERS if header[0] not in names)
                message = {**message, "headers": [*own, (b"x-request-id", request_id.encode()), *common]}
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except Exception as error:
            _LOG.exception("request failed", request_id=request_id, path=scope["path"])
            if status:  # the answer has started; the client sees an incomplete one
                raise
            await problem_response(request, error)(scope, receive, send_with_headers)
        finally:
            seconds = self.clock() - began
            # the route's template: there are unlimited paths
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.seconds.labels(scope["method"], route, str(status)).observe(seconds)
            key = scope["state"].get("key")
            _LOG.info(
                "request",
                request_id=request_id,
                method=scope["method"],
                path=scope["path"],
                status=status,
                milliseconds=round(seconds * 1000, 1),
                key=key.key_id if key else None,
            )


class BodyLimitMiddleware:
    """Refuses a body that is too large (unread if its length is declared) or arrives too slowly."""

    def __init__(self, app: ASGIApp, most_bytes: int, longest_seconds: float) -> None:
        self.app, self.most_bytes, self.longest_seconds = app, most_bytes, longest_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        if whole_number(request.headers.get("content-length", "0"), self.most_bytes) is None:
            await self._too_large(request)(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self.longest_seconds):
                body = await self._read(receive)
        except TimeoutError:
            detail = f"the body took longer than {self.longest_seconds:g} s to arrive"
            await problem_response(request, ProblemError(408, detail, _CLOSE))(scope, receive, send)
            return
        if body is None:
            await self._too_large(request)(scope, receive, send)
            return
        messages = [*body]

        async def receive_again() -> Message:
            return messages.pop(0) if messages else await receive()

        await self.app(scope, receive_again, send)

    async def _read(self, receive: Receive) -> list[Message] | None:
        """Return the messages of the whole body; None if it is too large."""
        messages, size, more = [], 0, True
        while more:
            message = await receive()
            messages.append(message)
            size += len(message.get("body", b""))
            if size > self.most_bytes:
                return None
            more = message.get("more_body", False)
        return messages

    def _too_large(self, request: Request) -> Response:
        detail = f"the body is larger than {self.most_bytes:,} bytes; send less at a time"
        return problem_response(request, ProblemError(413, detail, _CLOSE))


class HeadMiddleware:
    """Answers HEAD as GET without the body, so that every route that can be read answers it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        is_sent = asyncio.Event()

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                is_sent.set()

        async def receive_until_sent() -> Message:
            """Return the body; after the answer is sent, the end of the connection, which ends streams of events."""
            return {"type": "http.disconnect"} if is_sent.is_set() else await receive()

        read = {**scope, "method": "GET"}
        try:
            await self.app(read, receive_until_sent, send_head)
        finally:
            scope["route"] = read.get("route")  # for the metrics


def install(app: FastAPI, metrics: Metrics, most_bytes: int, longest_seconds: float) -> None:
    """Add the middleware to the app, the outermost last."""
    app.add_middleware(HeadMiddleware)
    app.add_middleware(BodyLimitMiddleware, most_bytes=most_bytes, longest_seconds=longest_seconds)
    app.add_middleware(RequestMiddleware, metrics=metrics)
