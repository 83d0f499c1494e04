"""What Quintet writes is closed to other accounts, and a home that was open is closed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

from quintet.private_files import close_to_others


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _open_home(home: Path) -> Path:
    (home / "online").mkdir(parents=True)
    (home / "raw" / "users").mkdir(parents=True)
    secret, inbox = home / "online" / "online.sqlite", home / "raw" / "users" / "a.csv"
    for file in (secret, inbox):
        file.write_text("x")
        file.chmod(0o664)
    for folder in (home, home / "online", home / "raw", home / "raw" / "users"):
        folder.chmod(0o775)
    return secret


def test_an_open_home_is_closed_with_all_in_it_but_the_inboxes(tmp_path: Path) -> None:
    home, outside = tmp_path / "home", tmp_path / "outside"
    outside.write_text("x")
    outside.chmod(0o644)
    secret = _open_home(home)
    (home / "link").symlink_to(outside)
    (home / "dead link").symlink_to(home / "nothing")
    program = home / "run"
    program.write_text("x")
    program.chmod(0o755)

    assert close_to_others(home, [home / "raw"]) == []
    assert [_mode(path) for path in (home, home / "online", secret, program)] == [0o700, 0o700, 0o600, 0o700]
    assert [_mode(path) for path in (home / "raw", home / "raw" / "users" / "a.csv")] == [0o775, 0o664]
    assert _mode(outside) == 0o644


def test_the_inboxes_may_be_the_home_itself_or_elsewhere(tmp_path: Path) -> None:
    secret = _open_home(tmp_path / "home")
    close_to_others(tmp_path / "home", [tmp_path / "elsewhere"])
    assert _mode(secret) == 0o600


def test_a_process_and_its_children_write_for_their_owner_only(tmp_path: Path) -> None:
    script = (
        "import os, subprocess, sys\n"
        "from pathlib import Path\n"
        "from quintet.private_files import write_for_owner_only\n"
        "if sys.argv[2] == 'private': write_for_owner_only()\n"
        "else: os.umask(0o022)\n"
        "Path(sys.argv[1], 'own').write_text('x')\n"
        "subprocess.run(['mkdir', str(Path(sys.argv[1], 'of a child'))], check=True)\n"
    )
    modes = {}
    for kind in ("private", "open"):
        folder = tmp_path / kind
        folder.mkdir()
        subprocess.run([sys.executable, "-c", script, str(folder), kind], check=True, env=os.environ)
        modes[kind] = [_mode(folder / name) for name in ("own", "of a child")]
    assert modes == {"private": [0o600, 0o700], "open": [0o644, 0o755]}
