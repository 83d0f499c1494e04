"""The token of Dagster's UI: a new one for each start, in a file that only its owner can read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cli.ui_guard import PARAMETER
from quintet.embedded.processes import write_private

_FILE = "ui-token"


def create_token(dagster_home: Path, random_bytes: Callable[[int], bytes]) -> str:
    """Write a new token and return it; links with the former one are no longer valid."""
    token = random_bytes(32).hex()
    write_private(dagster_home / _FILE, token)
    return token


def read_token(dagster_home: Path) -> str:
    """Return the token of the UI that was started last. Raises FileNotFoundError if none was."""
    return (dagster_home / _FILE).read_text("utf-8").strip()


def ui_link(url: str, token: str) -> str:
    """Return the address to open in a browser; url: where the UI answers."""
    return f"{url.rstrip('/')}/?{PARAMETER}={token}"
