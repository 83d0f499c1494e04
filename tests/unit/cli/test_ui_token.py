"""The UI's token is new with each start, and only its owner can read it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cli.ui_token import create_token, read_token, ui_link


def test_a_start_makes_a_new_token_that_its_owner_alone_can_read(tmp_path: Path) -> None:
    first, second = create_token(tmp_path, os.urandom), create_token(tmp_path, os.urandom)
    assert first != second == read_token(tmp_path)
    assert len(second) == 64
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_link_carries_the_token() -> None:
    assert ui_link("http://127.0.0.1:3001", "abc") == "http://127.0.0.1:3001/?token=abc"
    assert ui_link("https://x/dagster/", "abc") == "https://x/dagster/?token=abc"
