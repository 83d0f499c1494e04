"""Requirements of the tests on the machine, besides Python and the locked packages.

A program that is missing skips the tests that ask for it, with the reason; in continuous integration, which installs
them all, it fails them. Ask in a fixture or a test, never while tests are collected: every machine collects the same.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Mapping
from typing import NoReturn

import pytest

INSTALL = {
    "buildah": "apt-get install buildah",
    "chromium": "apt-get install chromium",
    "debootstrap": "apt-get install debootstrap",
    "mount": "apt-get install mount",
    "docker-compose": "apt-get install docker-compose",
    "nginx": "apt-get install nginx-light",
    "openssl": "apt-get install openssl",
}
"""The optional programs, and how each is installed."""


def require_program(name: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the path of an optional program; if it is missing, skip the test, or fail it if CI is true."""
    found = shutil.which(name, path=environment.get("PATH"))
    if found is None:
        _missing(f"{name} is not installed: {INSTALL[name]}", environment)
    return found


def require_package(name: str, lock: str, environment: Mapping[str, str] = os.environ) -> None:
    """Skip the test if a package of another lock is missing, or fail it if CI is true."""
    if importlib.util.find_spec(name) is not None:
        return
    _missing(f"{name} is not installed: pip install --no-deps --require-hashes -r {lock}", environment)


def _missing(reason: str, environment: Mapping[str, str]) -> NoReturn:
    if environment.get("CI") == "true":
        pytest.fail(f"{reason}. Continuous integration skips no test for lack of a program.", pytrace=False)
    pytest.skip(reason)


def require_root() -> None:
    """Skip the test unless it runs as root."""
    if os.geteuid() != 0:
        pytest.skip("runs as root only")
