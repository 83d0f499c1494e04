"""Which folders an account cannot pass, and how a program runs as that account."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from quintet.embedded import unprivileged
from quintet.embedded.unprivileged import NoWayError, closed_folders, command
from tests.machine import require_root


def _run(arguments: list[str]) -> str:
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.strip()


def test_without_an_account_the_program_runs_as_it_is(tmp_path: Path) -> None:
    assert command(["/bin/true"], None, [tmp_path]) == ["/bin/true"]


def test_a_folder_that_is_closed_to_others_is_found(open_folder: Path) -> None:
    inner = open_folder / "inner"
    inner.mkdir(mode=0o700)
    assert closed_folders(inner / "file", "nobody") == ([inner] if os.geteuid() != 65534 else [])
    assert closed_folders(open_folder / "file", "nobody") == []


def test_the_program_loses_root_and_its_groups(open_folder: Path) -> None:
    require_root()
    assert _run(command(["/usr/bin/env", "id", "-u"], "nobody", [open_folder / "file"])) == "65534"
    assert _run(command(["/usr/bin/env", "id", "-G"], "nobody", [open_folder / "file"])) == "65534"


def test_it_passes_closed_folders_only_with_their_capability(open_folder: Path) -> None:
    require_root()
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    (closed / "file").write_text("inside")
    assert _run(command(["/bin/cat", str(closed / "file")], "nobody", [closed / "file"])) == "inside"
    refused = subprocess.run(
        command(["/bin/cat", str(closed / "file")], "nobody", []), capture_output=True, check=False
    )
    assert b"Permission denied" in refused.stderr


def test_without_a_capability_the_message_says_what_to_do(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    closed.chmod(0o600)  # closed to its owner too, for any user of this test
    monkeypatch.setattr(unprivileged, "_capability", lambda: None)
    with pytest.raises(NoWayError, match=f"chmod o\\+x {closed}"):
        command([sys.executable], "nobody", [closed / "file"])


def test_the_program_keeps_that_capability_alone(open_folder: Path) -> None:
    require_root()
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)

    def effective(paths: list[Path]) -> int:
        status = _run(command(["/bin/cat", "/proc/self/status"], "nobody", paths))
        return int(next(line for line in status.splitlines() if line.startswith("CapEff:")).split()[1], 16)

    assert effective([closed / "file"]) in (1 << 1, 1 << 2)
    assert effective([]) == 0


def test_without_setpriv_the_message_says_what_to_install(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(open_folder))
    with pytest.raises(NoWayError, match="install util-linux"):
        command(["/bin/true"], "nobody", [open_folder / "file"])
