"""`quintet health` asks a part of this machine and says what it found."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from cli.health import Part, address_of, health
from cli.ui_token import create_token
from quintet.settings import load_settings


@contextmanager
def answering(status: int) -> Iterator[int]:
    """Answer every request with the status; yield the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(("status", "expected"), [(200, 0), (503, 1)])
def test_the_exit_status_is_that_of_the_answer(
    status: int, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with answering(status) as port:
        monkeypatch.setenv("QUINTET_PORT", str(port))
        assert health(Part.SERVE, 3000) == expected
    said = capsys.readouterr()
    assert ("answers 503" in said.err) == (expected == 1)


def test_a_part_that_does_not_run_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with answering(200) as port:
        pass  # nothing listens there any more
    monkeypatch.setenv("QUINTET_STREAM_PORT", str(port))
    assert health(Part.STREAM, 3000) == 1
    assert "stream does not answer" in capsys.readouterr().err


def test_dagster_is_asked_with_the_token_of_its_ui(tmp_path: Path) -> None:
    token = create_token(tmp_path, os.urandom)
    url, headers = address_of(Part.DAGSTER, load_settings({}), 3001, tmp_path)
    assert url == "http://127.0.0.1:3001/server_info"
    assert headers == {"authorization": f"Bearer {token}"}
