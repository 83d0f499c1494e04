"""A running `quintet dev` for attacks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.conftest import Quintet
from tests.waiting import LONG_SECONDS, wait_until
from tests.web.service import free_port

PROJECT = Path(__file__).parents[2]

_LAST_LINES = 15
"""Lines of the output and of the log that a failure shows."""


@dataclass(frozen=True)
class Ui:
    """Dagster's UI: its address, its token, and the path that a proxy publishes it at."""

    port: int
    token: str
    process: subprocess.Popen[str]
    quintet: Quintet
    path: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Send a GraphQL query as a program that has the token."""
        answer = httpx.post(
            f"{self.url}/graphql",
            json={"query": query, "variables": variables},
            headers={"authorization": f"Bearer {self.token}"},
            timeout=LONG_SECONDS,
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["data"])


@contextmanager
def running_ui(quintet: Quintet, port: int = 0, **environment: str) -> Iterator[Ui]:
    """Run `quintet dev` on a port, a free one by default, until the block ends, and stop it with Ctrl-C."""
    port = port or free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "dev", "--dagster-port", str(port)],
        cwd=PROJECT,
        env=quintet.environment | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        link = next(line for line in process.stdout if "?token=" in line)
        os.set_blocking(process.stdout.fileno(), False)
        public = urlsplit(environment.get("QUINTET_DAGSTER_URL", ""))
        ui = Ui(port, link.strip().rpartition("=")[2], process, quintet, public.path)
        wait_until(lambda: _answers(ui))
        yield ui
    finally:
        process.send_signal(signal.SIGINT)
        os.set_blocking(process.stdout.fileno(), True)
        rest, _ = process.communicate(timeout=LONG_SECONDS)
        log = quintet.home / "logs" / "dagster.log"
        ends = [rest, log.read_text("utf-8", "replace") if log.exists() else ""]
        shown = "\n".join("\n".join(text.splitlines()[-_LAST_LINES:]) for text in ends)
        assert process.returncode == 0, f"`quintet dev` ended with status {process.returncode}:\n{shown}"


def _answers(ui: Ui) -> bool:
    assert ui.process.poll() is None, "the command has ended"
    try:
        return bool(ui.ask("{ assetNodes { id } }")["assetNodes"])
    except httpx.TransportError:
        return False
