"""Limits of connections: nobody without a key takes the memory or the connections that others need.

uvicorn limits neither the size of a request's header nor the time it takes to arrive, and refuses everyone when its
connections are used up. Here a full service closes the connection that has sent an incomplete request for longest, so
slow connections only shut out each other.
"""

from __future__ import annotations

import resource
from asyncio import BaseTransport, TimerHandle, Transport
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, cast

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_LOG = structlog.get_logger()
_SPARE_FILES = 256
"""Open files for everything besides connections: snapshots, the state store, answers of the mail server."""


@dataclass(frozen=True)
class Limits:
    """Limits of a server: bytes and seconds of a request's header, and connections at a time."""

    header_bytes: int = 32_768
    header_seconds: float = 10.0
    connections: int = 1_000


@dataclass
class _Server:
    """The connections of a server whose request is incomplete, the oldest first; and all of them."""

    limits: Limits
    incomplete: dict[LimitedProtocol, None] = field(default_factory=dict)


def allow_files(limits: Limits) -> Limits:
    """Raise this process's limit of open files for the connections; return the limits that its rights permit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.connections + _SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    most = limits.connections if soft == resource.RLIM_INFINITY else min(limits.connections, soft - _SPARE_FILES)
    return Limits(limits.header_bytes, limits.header_seconds, max(most, 1))


def limited(limits: Limits) -> type[LimitedProtocol]:
    """Return the protocol class of a server with these limits."""
    return type("LimitedProtocol", (LimitedProtocol,), {"shared": _Server(limits)})


class LimitedProtocol(HttpToolsProtocol):
    """HTTP with limits; `limited` returns a subclass with those of a server."""

    shared: _Server
    _timer: TimerHandle | None = None
    _header_bytes = 0
    _refusal: tuple[int, str] | None = None
    _is_in_header = True

    def connection_made(self, transport: BaseTransport) -> None:
        """Take the connection; if there are too many, close another one, or this one if all others are of use."""
        super().connection_made(cast("Transport", transport))
        if len(self.connections) > self.shared.limits.connections and not self._make_room():
            self.transport.abort()
            return
        self._begin()
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        self.shared.incomplete.pop(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse a piece of a request, unless its header has become too large."""
        if self.transport.is_closing():
            return
        if self._is_in_header:
            self._header_bytes += len(data)
            if self._timer is None:  # the first piece of another request on this connection
                self._start_timer()
        super().data_received(data)
        if self._is_in_header and self._header_bytes > self.shared.limits.header_bytes:
            self._refuse(431, "The request's header is too large.")

    def on_headers_complete(self) -> None:
        """Begin the request. A large header that arrived at once is refused: the parser reports this exception."""
        self._is_in_header = False
        self._stop_timer()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self.shared.limits.header_bytes:
            self._refusal = 431, "The request's header is too large."
            raise ValueError("the header is too large")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the request has arrived completely."""
        self.shared.incomplete.pop(self, None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for another request on this connection."""
        super().on_response_complete()
        if not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete):
            self._begin()

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that cannot be parsed, or that is too large."""
        if self._refusal is None:
            super().send_400_response(msg)
        else:
            self._refuse(*self._refusal)

    def _begin(self) -> None:
        self._header_bytes, self._is_in_header = 0, True
        self.shared.incomplete[self] = None

    def _start_timer(self) -> None:
        seconds = self.shared.limits.header_seconds
        self._timer = self.loop.call_later(seconds, self._refuse, 408, "The request's header took too long to arrive.")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _make_room(self) -> bool:
        """Close the connection with the oldest incomplete request, or one whose client does not read; False: none."""
        oldest = next((one for one in self.shared.incomplete if not one.transport.is_closing()), None)
        if oldest is None:
            oldest = next((one for one in self._others() if one.flow is not None and one.flow.write_paused), None)
        if oldest is None:
            _LOG.warning("too many connections", connections=len(self.connections))
            return False
        self.shared.incomplete.pop(oldest, None)
        oldest.transport.abort()
        return True

    def _others(self) -> list[Any]:
        return [one for one in self.connections if one is not self]

    def _refuse(self, status: int, text: str) -> None:
        if self.transport.is_closing():
            return
        body = f"{text}\n".encode()
        lines = [
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
            "content-type: text/plain",
            f"content-length: {len(body)}",
            "connection: close",
        ]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)
        self.transport.close()
