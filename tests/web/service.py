"""Building and starting the service for tests."""

from __future__ import annotations

import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI

from quintet.settings import load_settings
from quintet.web.app import create_app

ADMIN_KEY = "admin key of the tests"
ADMIN = {"authorization": f"Bearer {ADMIN_KEY}"}


def build_app(home: Path, **settings: str) -> FastAPI:
    """The application over a home folder, with the tests' admin key."""
    given = {"QUINTET_HOME": str(home), "QUINTET_ADMIN_KEY": ADMIN_KEY, **settings}
    return create_app(load_settings(given), code="tests")


@dataclass(frozen=True)
class Server:
    """A service in a process of its own."""

    url: str
    key: str
    process: subprocess.Popen[str]


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
