"""Slow and large requests do not keep others from being answered."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
import uvicorn

from quintet.web.connections import Limits, limited
from tests.waiting import LONG_SECONDS, wait_until

_TINY = Limits(header_bytes=2_000, header_seconds=0.3, connections=5)
_PATIENT = Limits(header_bytes=2_000, header_seconds=LONG_SECONDS, connections=5)
_START = b"GET / HTTP/1.1\r\nhost: x\r\n"


async def _app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    if scope["path"] == "/stream":
        await asyncio.sleep(LONG_SECONDS)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@contextmanager
def _serving(**options: Any) -> Iterator[int]:
    server = uvicorn.Server(
        uvicorn.Config(_app, port=0, log_level="critical", lifespan="off", timeout_graceful_shutdown=0, **options)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(LONG_SECONDS)


def _connect(port: int, data: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=LONG_SECONDS)
    connection.sendall(data)
    return connection


def _read(connection: socket.socket) -> bytes:
    """Return everything until the server closes."""
    found = b""
    try:
        while piece := connection.recv(65_536):
            found += piece
    except ConnectionResetError:
        pass
    return found


@pytest.mark.parametrize("piece", [100, 4_000], ids=["in pieces", "at once"])
def test_a_large_header_is_refused_however_it_arrives(piece: int) -> None:
    with _serving(http=limited(_PATIENT)) as port, _connect(port, _START) as connection:
        header = b"x-large: " + b"a" * 4_000 + b"\r\n\r\n"
        try:
            for begin in range(0, len(header), piece):
                connection.sendall(header[begin : begin + piece])
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert _read(connection).startswith((b"HTTP/1.1 431 ", b""))
        assert httpx.get(f"http://127.0.0.1:{port}/").text == "ok"


def test_a_large_address_is_refused() -> None:
    with _serving(http=limited(_PATIENT)) as port:
        assert httpx.get(f"http://127.0.0.1:{port}/{'a' * 3_000}").status_code == 431
        assert httpx.get(f"http://127.0.0.1:{port}/{'a' * 1_000}").status_code == 200


@pytest.mark.parametrize(
    "begun", [b"", b"GE", _START, _START + b"x: y\r\n"], ids=["nothing", "a word", "a header", "two"]
)
def test_a_header_that_does_not_arrive_ends_the_connection(begun: bytes) -> None:
    with _serving(http=limited(_TINY)) as port, _connect(port, begun) as connection:
        assert _read(connection).startswith(b"HTTP/1.1 408 ")


def test_the_second_header_of_a_connection_is_limited_too() -> None:
    with _serving(http=limited(_TINY)) as port, _connect(port, _START + b"\r\n") as connection:
        answer = connection.recv(1_000)
        assert answer.endswith(b"ok")
        connection.sendall(b"GET /")
        assert _read(connection).startswith(b"HTTP/1.1 408 ")


def test_a_slow_answer_and_a_large_body_are_no_slow_header() -> None:
    with _serving(http=limited(_TINY)) as port, _connect(port, b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n") as stream:
        stream.settimeout(1.0)  # three times what a header may take
        with pytest.raises(TimeoutError):
            stream.recv(1)
        assert httpx.post(f"http://127.0.0.1:{port}/", content=b"a" * 100_000).text == "ok"


_SLOW = {
    "headers": _START,
    "bodies": b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc",
    "nothing": b"",
}


@pytest.mark.parametrize("begun", _SLOW.values(), ids=_SLOW)
def test_slow_connections_shut_out_only_each_other(begun: bytes) -> None:
    with _serving(http=limited(_PATIENT)) as port, ExitStack() as slow:
        for _ in range(_PATIENT.connections * 3):
            slow.enter_context(_connect(port, begun))
        for _ in range(3):
            assert httpx.get(f"http://127.0.0.1:{port}/", timeout=LONG_SECONDS).text == "ok"


def test_without_these_limits_they_would_shut_out_everyone() -> None:
    with _serving(limit_concurrency=_PATIENT.connections) as port, ExitStack() as slow:
        for _ in range(_PATIENT.connections * 3):
            slow.enter_context(_connect(port, _START))
        assert httpx.get(f"http://127.0.0.1:{port}/", timeout=LONG_SECONDS).status_code == 503


def test_connections_in_use_are_not_closed_for_new_ones() -> None:
    with _serving(http=limited(_PATIENT)) as port, ExitStack() as used:
        streams = [
            used.enter_context(_connect(port, b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n"))
            for _ in range(_PATIENT.connections)
        ]
        wait_until(lambda: _is_refused(port))
        for stream in streams:
            stream.settimeout(0.05)
            with pytest.raises(TimeoutError):
                stream.recv(1)


def _is_refused(port: int) -> bool:
    try:
        return not httpx.get(f"http://127.0.0.1:{port}/").text
    except httpx.TransportError:
        return True


def test_many_requests_on_one_connection_and_in_one_piece_are_answered() -> None:
    with _serving(http=limited(_PATIENT)) as port:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            assert {client.post("/", content=b"a" * 1_000).text for _ in range(20)} == {"ok"}
        last = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        with _connect(port, (_START + b"\r\n") * 5 + last) as connection:
            assert _read(connection).count(b"HTTP/1.1 200") == 6
