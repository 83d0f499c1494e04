"""Whoever has no key cannot keep the service from answering others."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from quintet.web.connections import Limits, allow_files
from tests.waiting import LONG_SECONDS
from tests.web.service import Server, serving

_SLOW = 1_100
_ENDLESS = 100_000_000
_BEGUN = {
    "headers": b"GET /healthz HTTP/1.1\r\nhost: x\r\n",
    "bodies": b"POST /sign-in HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\na",
    "nothing": b"",
}


@pytest.fixture
def server(built_home: Path, tmp_path: Path) -> Iterator[Server]:
    """Yield a service in its own process."""
    with serving(built_home, tmp_path / "log") as found:
        yield found


def _connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=LONG_SECONDS)


@pytest.mark.parametrize("begun", _BEGUN.values(), ids=_BEGUN)
def test_slow_connections_do_not_shut_others_out(server: Server, begun: bytes) -> None:
    allow_files(Limits(connections=_SLOW))  # for this process, which holds the other ends
    with ExitStack() as slow:
        for _ in range(_SLOW):
            connection = slow.enter_context(_connect(server))
            connection.sendall(begun)
        for _ in range(5):
            assert httpx.get(f"{server.url}/healthz", timeout=LONG_SECONDS).status_code == 200


def _memory(server: Server) -> int:
    text = Path(f"/proc/{server.process.pid}/status").read_text("utf-8")
    return next(int(line.split()[1]) * 1_024 for line in text.splitlines() if line.startswith("VmRSS"))


def _sent_until_refused(server: Server) -> int:
    """Send a header that does not end; return how much of 100 MB the service has taken."""
    sent = 0
    with _connect(server) as connection, suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-endless: ")
        while sent < _ENDLESS:
            connection.sendall(b"a" * 65_536)
            sent += 65_536
    return sent


def test_an_endless_header_takes_no_memory(server: Server) -> None:
    before = _memory(server)
    assert _sent_until_refused(server) < _ENDLESS
    assert _memory(server) - before < 20_000_000
    assert httpx.get(f"{server.url}/healthz", timeout=LONG_SECONDS).status_code == 200
