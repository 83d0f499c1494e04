"""A Spark Connect server for tests: Sail, in a process of its own, which needs no Java."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quintet.embedded.processes import free_port
from tests.machine import require_package
from tests.waiting import wait_until


@contextmanager
def sail(log: Path) -> Iterator[str]:
    """Run the server until the block ends, and return its URL."""
    require_package("pysail", "requirements-spark.lock")
    port = free_port()
    program = Path(sys.executable).with_name("sail")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(program), "spark", "server", "--ip", "127.0.0.1", "--port", str(port)],
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(lambda: b"Starting the Spark Connect server" in log.read_bytes(), lambda: log.read_text("utf-8"))
        yield f"sc://127.0.0.1:{port}"
    finally:
        process.kill()  # it would first wait for its sessions
        process.wait()
