"""Helpers that build and start the service."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.testclient import TestClient

from quintet.domains import CASE_KINDS
from quintet.embedded.processes import free_port
from quintet.settings import load_settings
from quintet.web.app import create_app
from quintet.web.cases.opening import CaseOpener
from tests.command import Python
from tests.waiting import wait_until

ADMIN_KEY = "admin key of the tests"
ADMIN = {"authorization": f"Bearer {ADMIN_KEY}"}


def build_app(home: Path, **settings: str) -> FastAPI:
    """Return the application over a home folder, with the tests' admin key."""
    given = {"QUINTET_HOME": str(home), "QUINTET_ADMIN_KEY": ADMIN_KEY, **settings}
    return create_app(load_settings(given), code="tests")


def open_cases(app: FastAPI) -> None:
    """Open all cases of the snapshot now: each page shows their count, which the service's thread changes."""
    service = app.state.service
    CaseOpener(service.store, service.snapshots, service.settings, CASE_KINDS.values(), service.clock).round()


def items(client: TestClient, path: str, **parameters: Any) -> list[dict[str, Any]]:
    """Return all items of a list, page after page."""
    found: list[dict[str, Any]] = []
    token = None
    while True:
        page = client.get(path, params=parameters | ({"page_token": token} if token else {}))
        assert page.status_code == 200, page.text
        found += page.json()["items"]
        token = page.json()["next_page_token"]
        if token is None:
            return found


@dataclass(frozen=True)
class Server:
    """A service in its own process."""

    url: str
    key: str
    process: Python


def _answers(url: str, process: Python) -> bool:
    assert process.returncode is None, "the service has ended; its log says why"
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def serving(home: Path, log: Path, **settings: str) -> Iterator[Server]:
    """Run the service over a home in its own process until the block ends."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("QUINTET_")}
    environment |= {"QUINTET_HOME": str(home), "QUINTET_PORT": str(port), "QUINTET_ADMIN_KEY": ADMIN_KEY}
    environment |= settings
    process = Python(["-m", "quintet.web"], environment, output=log)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(url, process), lambda: log.read_text("utf-8"))
        yield Server(url, ADMIN_KEY, process)
    finally:
        process.terminate()
        process.wait()
