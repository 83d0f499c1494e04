"""The helpers of the suite: folders that are made once, forks that behave like processes, copied clusters, waits."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from quintet.embedded.postgres import EmbeddedPostgres
from tests import prepared_cluster
from tests.command import Python
from tests.folders import alone, memory_folder, open_folder
from tests.waiting import wait_until


def test_what_one_process_makes_for_all_is_made_once_and_again_after_a_failure(tmp_path: Path) -> None:
    made = []

    def make(content: str) -> None:
        with alone(tmp_path / "home") as is_made:
            made.append(is_made)
            int(content)

    with pytest.raises(ValueError, match="no number"):
        make("no number")
    make("1")
    make("1")
    assert made == [False, False, True]


def _memory(file: Path, available_kb: int) -> Path:
    file.write_text(f"MemTotal:  999 kB\nMemAvailable:  {available_kb} kB\n")
    return file


def test_folders_are_in_memory_only_where_there_is_enough_of_it(tmp_path: Path) -> None:
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    plenty, little = _memory(tmp_path / "plenty", free), _memory(tmp_path / "little", 1_000)
    assert memory_folder(tmp_path, plenty, least_free=1_000_000) == tmp_path
    assert memory_folder(tmp_path, little, least_free=1_000_000) is None
    assert memory_folder(tmp_path, plenty, least_free=2 * free) is None
    assert memory_folder(tmp_path / "absent", plenty, least_free=1) is None


_SHOW = (
    "import os, sys; print(sys.argv, os.getcwd(), os.environ.get('MARK')); print('bad', file=sys.stderr); sys.exit(3)"
)


def test_a_fork_behaves_like_the_interpreter(project: Path) -> None:
    fork = Python(["-c", _SHOW, "one", "two"], {"MARK": "here"})
    ran = subprocess.run(
        [sys.executable, "-c", _SHOW, "one", "two"],
        cwd=project,
        env={"MARK": "here"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    printed = fork.finish()
    assert sorted(printed.splitlines()) == sorted(ran.stdout.splitlines())
    assert fork.returncode == ran.returncode == 3


def test_a_fork_in_another_checkout_imports_its_modules_and_none_of_this_project(tmp_path: Path) -> None:
    (tmp_path / "quintet").mkdir()
    (tmp_path / "quintet" / "__init__.py").write_text("place = 'the other checkout'\n")
    fork = Python(["-c", "import quintet; print(quintet.place); import cli"], {}, tmp_path)
    printed = fork.finish()
    assert "the other checkout\n" in printed
    assert "No module named 'cli'" in printed
    assert fork.returncode == 1


def test_a_fork_ends_by_signals_and_appends_its_output_to_a_file(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    fork = Python(["-c", "import time; print('runs', flush=True); time.sleep(600)"], {}, output=log)
    wait_until(lambda: "runs" in log.read_text())
    assert fork.returncode is None
    fork.terminate()
    assert fork.wait() == -signal.SIGTERM
    fork.send_signal(signal.SIGTERM)  # no effect, and no error
    assert log.read_text() == "before\nruns\n"


def test_a_copied_cluster_is_a_server_of_its_own_with_the_settings_of_one_by_initdb() -> None:
    show = "select name, setting from pg_settings where context = 'postmaster' and name <> 'port' order by name"

    def settings_of(folder: Path) -> list[tuple[str, str]]:
        with (
            EmbeddedPostgres(folder / "postgres", {"fsync": "off"}) as server,
            psycopg.connect(server.url) as connection,
        ):
            connection.execute("create table mine (id int)")
            return [
                (name, setting.replace(str(folder), "folder")) for name, setting in connection.execute(show).fetchall()
            ]

    with open_folder() as first, open_folder() as second, open_folder() as made:
        copies = [settings_of(first), settings_of(second)]
        prepared = Path(os.environ[prepared_cluster.FOLDER])
        prepared_cluster.stop_using()
        try:
            by_initdb = settings_of(made)
        finally:
            prepared_cluster.use(prepared)
        assert (first / "postgres" / "password").read_text() == (second / "postgres" / "password").read_text()
        assert (first / "postgres" / "password").read_text() != (made / "postgres" / "password").read_text()
    assert copies == [by_initdb, by_initdb]


def test_a_wait_leaves_most_of_the_time_to_what_is_awaited() -> None:
    checks = []

    def slow_check() -> bool:
        checks.append(time.monotonic())
        time.sleep(0.05)
        return len(checks) == 4

    assert wait_until(slow_check)
    pauses = [after - before - 0.05 for before, after in itertools.pairwise(checks)]
    assert min(pauses) > 0.2
