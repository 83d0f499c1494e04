"""Every route against its OpenAPI document: any request gets a declared answer."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.waiting import LONG_SECONDS
from tests.web.service import Server


def test_every_route_conforms_to_the_document(server: Server) -> None:
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{server.url}/openapi.json"]
    # `ignored_auth` sends more wrong keys than a minute allows; tests/web/test_security.py asks every route itself
    options = [
        "--checks",
        "all",
        "--exclude-checks",
        "ignored_auth",
        "--max-examples",
        "12",
        "--seed",
        "1",
        "--generation-database",
        "none",
        "--no-color",
    ]
    ran = subprocess.run(
        [*command, *options, "--header", f"Authorization: Bearer {server.key}"],
        cwd=Path(__file__).parents[2],  # the folder of schemathesis.toml
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG_SECONDS,
    )
    assert ran.returncode == 0, ran.stdout[-10_000:] + ran.stderr[-2_000:]
    assert re.search(r"Operations: +\d\d+ selected", ran.stdout)
