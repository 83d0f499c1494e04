"""Fixtures that tests of all kinds share: where the real data lies, and a warehouse of one's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_PROJECT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def project() -> Path:
    """The root of the checkout."""
    return _PROJECT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real files, which lies beside the project and is no part of it."""
    folder = Path(os.environ.get("QUINTET_REAL_DATA", _PROJECT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the real files are not at {folder}; set QUINTET_REAL_DATA to run these tests")
    return folder
