"""Requirements of the tests on the machine, besides Python and the locked packages.

A program that is missing skips the tests that ask for it, with the reason; in continuous integration, which installs
them all, it fails them. Ask in a fixture or a test, never while tests are collected: every machine collects the same.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

import pytest

INSTALL = {
    "chromium": "apt-get install chromium",
    "mount": "apt-get install mount",
    "docker-compose": "apt-get install docker-compose",
    "nginx": "apt-get install nginx-light",
    "openssl": "apt-get install openssl",
}
"""The optional programs, and how each is installed."""


def require_program(name: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the path of an optional program; if it is missing, skip the test, or fail it if CI is true."""
    found = shutil.which(name, path=environment.get("PATH"))
    if found is not None:
        return found
    reason = f"{name} is not installed: {INSTALL[name]}"
    if environment.get("CI") == "true":
        pytest.fail(f"{reason}. Continuous integration skips no test for lack of a program.", pytrace=False)
    pytest.skip(reason)


def require_root() -> None:
    """Skip the test unless it runs as root."""
    if os.geteuid() != 0:
        pytest.skip("runs as root only")
