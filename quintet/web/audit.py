"""Audit of requests: a route declares its action, and the middleware records who did it.

Every route that changes something declares an action, or why it needs none (`tests/unit/web/test_audit.py`).
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

import structlog
from fastapi import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quintet.state.audit import Entry, record, utc_text
from quintet.state.faults import STATE_FAULTS
from quintet.state.forgotten import open_forgotten
from quintet.state.store import StateStore
from quintet.web.problems import RETRY_SECONDS

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

_ACTION, _REASON = "audit_action", "audit_reason"
_LONGEST_SUBJECT = 200
_UNRECORDED = "The request cannot be recorded: the state store cannot be written. Try again when it can.\n"
_LOG = structlog.get_logger()


def audited(action: str) -> Callable[[Endpoint], Endpoint]:
    """Declare that each request of a route is recorded in the audit log as `action`."""

    def declare(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _ACTION, action)
        return endpoint

    return declare


def not_audited(reason: str) -> Callable[[Endpoint], Endpoint]:
    """Declare why the requests of a route that takes data are not in the audit log."""

    def declare(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _REASON, reason)
        return endpoint

    return declare


def declaration_of(endpoint: Callable[..., Any]) -> str | None:
    """Return the action of a route, or the reason why it has none; None if it declares neither."""
    return getattr(endpoint, _ACTION, None) or getattr(endpoint, _REASON, None)


def about(request: Request, kind: str, person: object) -> None:
    """Name the person whom a request is about; the log has only a keyed hash of the id."""
    request.state.audit_person = (kind, person)


class AuditMiddleware:
    """Records a request of an audited route before its answer is sent; without the entry there is no answer."""

    def __init__(
        self,
        app: ASGIApp,
        store: StateStore,
        clock: Callable[[], dt.datetime],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self.app, self.store, self.clock, self.random_bytes = app, store, clock, random_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        is_refused = False

        async def send_recorded(message: Message) -> None:
            nonlocal is_refused
            action = getattr(getattr(scope.get("route"), "endpoint", None), _ACTION, None)
            if message["type"] == "http.response.start" and action is not None:
                try:
                    await asyncio.to_thread(self._record, scope, action, message["status"])
                except STATE_FAULTS as error:
                    _LOG.error("a request cannot be recorded", action=action, fault=str(error))
                    is_refused = message["status"] < HTTPStatus.INTERNAL_SERVER_ERROR
                    if is_refused:
                        await PlainTextResponse(
                            _UNRECORDED, HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": str(RETRY_SECONDS)}
                        )(scope, receive, send)
            if not is_refused:
                await send(message)

        await self.app(scope, receive, send_recorded if scope["type"] == "http" else send)

    def _record(self, scope: Scope, action: str, status: int) -> None:
        key, person = scope["state"].get("key"), scope["state"].get("audit_person")
        parts = [f"{name}={value}" for name, value in sorted(scope.get("path_params", {}).items())]
        if person is not None:
            kind, person_id = person
            digest = open_forgotten(self.store, self.random_bytes).digest(kind, person_id)
            parts = [f"{kind}:{digest[:16]}"]
        entry = Entry(
            utc_text(self.clock()),
            key.name if key else "unknown",
            key.key_id if key else "",
            action,
            " ".join(parts)[:_LONGEST_SUBJECT],
            str(status),
        )
        record(self.store, entry)
