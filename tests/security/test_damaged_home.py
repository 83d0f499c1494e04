"""A home that cannot be used is reported in one line with its path and what to do, without a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from quintet.embedded.processes import free_port
from tests.waiting import LONG_SECONDS

_COMMANDS = (["keys", "list"], ["serve"], ["run", "--select", "payments"])


def _message(home: Path, command: list[str]) -> str:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("QUINTET_", "DAGSTER_"))}
    ended = subprocess.run(
        [sys.executable, "-m", "cli", *command],
        cwd=Path(__file__).parents[2],
        env=inherited | {"QUINTET_HOME": str(home), "QUINTET_PORT": str(free_port())},
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG_SECONDS,
    )
    text = ended.stdout + ended.stderr
    assert ended.returncode > 0, text
    assert "Traceback" not in text
    return text


@pytest.mark.parametrize("command", _COMMANDS, ids=lambda command: command[0])
def test_a_damaged_state_file_is_named_with_a_remedy(tmp_path: Path, command: list[str]) -> None:
    file = tmp_path / "online" / "online.sqlite"
    file.parent.mkdir()
    file.write_bytes(b"no database at all" * 1_000)
    text = _message(tmp_path, command)
    assert f"{file} is damaged" in text
    assert "Restore it from a backup" in text


@pytest.mark.parametrize("command", _COMMANDS, ids=lambda command: command[0])
def test_a_home_that_cannot_be_written_is_named_with_a_remedy(tmp_path: Path, command: list[str]) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder", "utf-8")
    text = _message(blocked / "home", command)
    assert str(blocked) in text
    assert "QUINTET_HOME" in text
