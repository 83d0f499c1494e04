"""The command `quintet`: quick help with examples, options, exit statuses, from any folder, in odd places."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from cli import home
from cli.__main__ import app
from tests.waiting import LONG_SECONDS


def quintet(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith("QUINTET_")}
    return subprocess.run(
        [str(Path(sys.executable).with_name("python")), "-m", "cli", *arguments],
        cwd=folder,
        env=usual | {"PYTHONPATH": str(home.PROJECT)} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG_SECONDS,
    )


def commands() -> list[list[str]]:
    """Return every command there is, by its words."""
    found = []

    def walk(command: object, words: list[str]) -> None:
        inner = getattr(command, "commands", None)
        if inner is None:
            found.append(words)
        for name, one in (inner or {}).items():
            walk(one, [*words, name])

    walk(typer.main.get_command(app), [])
    return found


def test_there_are_the_commands_of_the_contract() -> None:
    words = {" ".join(command) for command in commands()}
    assert words >= {"run", "dev", "serve", "up", "stream", "sample", "send", "simulate", "fill", "bench"}
    assert words >= {"keys list", "keys create", "keys revoke"}
    actions = ("list", "train", "activate", "rollback", "challenge", "compare", "what-if")
    assert words >= {f"models {action}" for action in actions}


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_the_help_of_each_command_has_an_example_of_it(words: list[str]) -> None:
    command = typer.main.get_command(app)
    for word in words:
        command = command.commands[word]  # type: ignore[attr-defined]
    assert f"quintet {' '.join(words)}" in (command.epilog or "")


def test_the_help_loads_nothing_heavy(tmp_path: Path) -> None:
    program = (
        "import sys\ntry:\n    from cli.__main__ import app; app(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('pandas', 'duckdb', 'dagster', 'pydantic', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"HOME": str(tmp_path)},
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["run", "--select", "nothing"], {}, "no business is called nothing; there are insurance"),
        (["run"], {"QUINTET_PORT": "many"}, "QUINTET_PORT is 'many'"),
        (["keys", "create", "--name", "Ana", "--scopes", "all"], {}, "unknown scope all"),
    ],
)
def test_wrong_settings_and_arguments_end_with_2(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], said: str
) -> None:
    done = quintet(tmp_path, *arguments, QUINTET_HOME=str(tmp_path / "home"), **environment)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("odd", [{"LC_ALL": "C"}, {"LC_ALL": "POSIX", "TZ": "Asia/Kathmandu"}, {"TZ": "Nowhere/Here"}])
def test_it_works_from_any_folder_with_a_home_of_any_name(tmp_path: Path, odd: dict[str, str]) -> None:
    (tmp_path / "my folder é").mkdir()
    made = quintet(
        tmp_path / "my folder é", "keys", "create", "--name", "Ana", "--scopes", "admin", QUINTET_HOME="a home ü", **odd
    )
    assert made.returncode == 0, made.stderr
    folder = tmp_path / "my folder é" / "a home ü"
    assert (folder / "online" / "online.sqlite").exists()
    assert (folder / "dagster" / "dagster.yaml").exists()
    assert "Ana" in quintet(tmp_path, "keys", "list", QUINTET_HOME=str(folder), **odd).stdout


def test_a_path_of_the_settings_starts_where_the_command_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = {"QUINTET_RAW": "inboxes"}
    home.enter_project(environment)
    assert environment["QUINTET_RAW"] == str(tmp_path / "inboxes")
    assert environment["QUINTET_HOME"] == str(home.PROJECT / "data")
    assert environment["DAGSTER_HOME"] == str((home.PROJECT / "data").resolve() / "dagster")


def test_a_home_that_cannot_be_made_gives_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    done = quintet(tmp_path, "run", QUINTET_HOME=str(tmp_path / "file" / "home"))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "QUINTET_HOME" in done.stderr


def test_a_port_in_use_gives_one_line(tmp_path: Path) -> None:
    import socket  # noqa: PLC0415

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        served = quintet(tmp_path, "serve", QUINTET_HOME=str(tmp_path / "home"), QUINTET_PORT=port)
        watched = quintet(tmp_path, "dev", "--dagster-port", port, QUINTET_HOME=str(tmp_path / "home"))
    for done in (served, watched):
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert f"port {port}" in done.stderr


def test_a_disk_that_is_full_gives_one_line(tmp_path: Path) -> None:
    limited = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); "
        "sys.argv = ['quintet', 'keys', 'create', '--name', 'Ana', '--scopes', 'admin']; "
        "runpy.run_module('cli', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited],
        cwd=home.PROJECT,
        env=os.environ | {"QUINTET_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG_SECONDS,
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert "full" in done.stderr
