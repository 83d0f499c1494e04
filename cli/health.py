"""`quintet health`: ask a running part whether it answers, for the health checks of containers."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from cli.ui_token import read_token
from quintet.http_client import http_client
from quintet.settings import Settings, load_settings

_SECONDS = 4.0


class Part(StrEnum):
    """What listens on a port."""

    SERVE = "serve"
    STREAM = "stream"
    DAGSTER = "dagster"


def health(part: Part, dagster_port: int) -> int:
    """Ask the part on this machine; return 0 if it answers, or 1 after printing why not."""
    url, headers = address_of(part, load_settings(), dagster_port, Path(os.environ["DAGSTER_HOME"]))
    try:
        with http_client(timeout=_SECONDS) as client:
            answer = client.get(url, headers=headers)
    except httpx.HTTPError as error:
        print(f"{part} does not answer at {url}: {error or type(error).__name__}", file=sys.stderr)
        return 1
    if not answer.is_success:
        print(f"{part} answers {answer.status_code} at {url}; see its log", file=sys.stderr)
        return 1
    print(f"{part} answers at {url}")
    return 0


def address_of(part: Part, settings: Settings, dagster_port: int, dagster_home: Path) -> tuple[str, dict[str, str]]:
    """Return what to request of a part, and the headers of the request."""
    if part is Part.SERVE:
        return f"{settings.local_url(settings.port)}/healthz", {}
    if part is Part.STREAM:
        return f"{settings.local_url(settings.stream_port)}/metrics", {}
    try:
        token = read_token(dagster_home)
    except FileNotFoundError:
        token = ""  # the UI has not started yet, and refuses
    path = urlsplit(settings.dagster_url or "").path.rstrip("/")
    return f"{settings.local_url(dagster_port)}{path}/server_info", {"authorization": f"Bearer {token}"}
