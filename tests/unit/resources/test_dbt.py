"""dbt runs on a parsed project, on any warehouse; a warm dbt does the same as a cold one and leaves nothing behind.

A process with dbt in it takes seconds to start, so the tests of what a warm one leaves behind share one.
"""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path

import duckdb
import pytest

from resources.dbt import Dbt, prepare_manifest
from resources.warm_dbt import CALL_DBT, SERVER, WarmDbt, is_prepared, parse_digest, warehouse_variables
from tests.waiting import wait_until

_PROFILE = """
little:
  target: warehouse
  outputs: {warehouse: {type: duckdb, path: "{{ env_var('QUINTET_WAREHOUSE') }}"}}
"""


_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="dbt is kept warm on Linux alone")
_LONG = "select count(*) as number from range(1_000_000_000_000) as numbers(n) where hash(n) = 0"
_FLOCK = "hhqqi0q"  # struct flock of 64-bit Linux: type, whence, start, length, process


def make_project(folder: Path) -> Path:
    """Return a project of two models: one has the value of the variable, the other fails."""
    project = folder / "project"
    (project / "models").mkdir(parents=True)
    (project / "dbt_project.yml").write_text("{name: little, version: 1.0.0, profile: little}")
    (project / "profiles.yml").write_text(_PROFILE)
    (project / "models" / "one.sql").write_text("select {{ var('number') if execute else 0 }} as number")
    (project / "models" / "two.sql").write_text("select no_such_column")
    return project


@pytest.fixture
def little(tmp_path: Path) -> Path:
    return make_project(tmp_path)


def dbt(project: Path, warehouse: str) -> Dbt:
    return Dbt(
        project_dir=str(project),
        profiles_dir=str(project),
        dbt_executable=sys.executable,
        global_config_flags=CALL_DBT,
        warehouse=str(project.parent / warehouse / "warehouse.duckdb"),
        memory_limit="1GB",
        threads=1,
    )


def warm_dbt(project: Path, warehouse: str) -> WarmDbt:
    return WarmDbt(project, warehouse_variables(project, Path(dbt(project, warehouse).warehouse), "1GB", 1))


def process_of(warm: WarmDbt) -> int:
    return warm._process.pid


@pytest.mark.parametrize("is_warm", [False, pytest.param(True, marks=_LINUX)])
def test_what_was_parsed_once_runs_on_any_warehouse_and_a_failing_model_fails_the_call(
    little: Path, is_warm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SERVER, raising=False)  # set by other tests in this process
    (little.parent / "second").mkdir()
    first, second = dbt(little, "first"), dbt(little, "second")
    with closing(warm_dbt(little, "first")) if is_warm else nullcontext():
        assert (SERVER in os.environ) == is_warm
        assert prepare_manifest(first).is_file()
        (little / "target" / "partial_parse.msgpack").write_bytes(
            b"what a call of dbt by hand leaves, for a database of its own"
        )
        (little / "models" / "three.sql").write_text("select {{ no_such_macro() }}")  # only who parses it sees it

        build = second.cli(["build", "--vars", "{number: 7}"], raise_on_error=False)

        assert not build.is_successful()
        assert build.process.returncode == 1
        assert "no_such_column" in str(build.get_error())
        assert "no_such_macro" not in str(build.get_error())
        assert not Path(f"{second.warehouse}.wal").exists()  # closed, not only left
        with duckdb.connect(second.warehouse) as warehouse:
            assert warehouse.execute("from one").fetchall() == [(7,)]
        assert not Path(first.warehouse).exists()


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, WarmDbt]]:
    """Yield a project and its warm dbt."""
    project = make_project(tmp_path_factory.mktemp("warm"))
    (project.parent / "home").mkdir()
    (project / "models" / "two.sql").write_text(_LONG)
    with closing(warm_dbt(project, "home")) as process:
        yield project, process


@_LINUX
def test_a_warm_dbt_parses_in_the_background_and_no_process_parses_again(
    warm: tuple[Path, WarmDbt], monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = dbt(warm[0], "home")
    wait_until(lambda: is_prepared(warm[0], parse_digest(warm[0], Path(resource.warehouse))))
    monkeypatch.setattr(Dbt, "cli", lambda *_, **__: pytest.fail("it was parsed before"))
    assert prepare_manifest(resource).is_file()


@_LINUX
def test_twenty_calls_leave_no_thread_no_lock_and_no_memory_in_a_warm_dbt(warm: tuple[Path, WarmDbt]) -> None:
    project, process = warm
    sizes = []
    for number in range(20):
        call = dbt(project, "home").cli(["run", "--select", "one", "--vars", f"{{number: {number}}}"]).wait()
        assert call.is_successful()
        with duckdb.connect(dbt(project, "home").warehouse) as warehouse:
            assert warehouse.execute("from one").fetchall() == [(number,)]
        sizes.append(resident_kilobytes(process_of(process)))
    assert len(list(Path(f"/proc/{process_of(process)}/task").iterdir())) == 1
    assert sizes[-1] - sizes[1] < 5_000


@_LINUX
def test_an_interrupt_ends_a_call_and_gives_the_warehouse_back(warm: tuple[Path, WarmDbt]) -> None:
    project, _ = warm
    warehouse = dbt(project, "home").warehouse
    call = dbt(project, "home").cli(["run", "--select", "two"], raise_on_error=False)
    wait_until(lambda: is_locked(warehouse))
    call.process.send_signal(signal.SIGINT)
    assert not call.is_successful()
    assert not is_locked(warehouse)
    assert dbt(project, "home").cli(["run", "--select", "one", "--vars", "{number: 1}"]).is_successful()


@_LINUX
def test_a_killed_caller_leaves_no_call_that_holds_the_warehouse(warm: tuple[Path, WarmDbt]) -> None:
    project, _ = warm
    warehouse = dbt(project, "home").warehouse
    call = dbt(project, "home").cli(["run", "--select", "two"], raise_on_error=False)
    wait_until(lambda: is_locked(warehouse))
    call.process.kill()
    call.process.wait()
    wait_until(lambda: not is_locked(warehouse))


@_LINUX
def test_a_killed_run_leaves_neither_a_warm_dbt_nor_a_call_of_it(warm: tuple[Path, WarmDbt], tmp_path: Path) -> None:
    project, _ = warm
    warehouse = tmp_path / "killed.duckdb"
    code = (
        "import subprocess, sys; from pathlib import Path; from resources.warm_dbt import CALL_DBT; "
        "from resources.warm_dbt import WarmDbt, warehouse_variables; import os; "
        "project = Path(sys.argv[1]); variables = warehouse_variables(project, Path(sys.argv[2]), '1GB', 1); "
        "warm = WarmDbt(project, variables); print(warm._process.pid, warm._folder, flush=True); "
        "subprocess.run([sys.executable, *CALL_DBT, 'run', '--select', 'two'], cwd=project, stdout=2, "
        "env={**os.environ, **variables, 'DBT_PROFILES_DIR': str(project), 'DBT_TARGET_PATH': sys.argv[2] + '.target'})"
    )
    environment = {name: value for name, value in os.environ.items() if name != SERVER}
    run = subprocess.Popen(
        [sys.executable, "-c", code, str(project), str(warehouse)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert run.stdout is not None
    pid, folder = run.stdout.readline().split()
    wait_until(lambda: is_locked(str(warehouse)))
    run.kill()
    run.communicate()
    wait_until(lambda: not is_running(int(pid)) and not is_locked(str(warehouse)) and not Path(folder).exists())


@_LINUX
def test_without_its_warm_dbt_a_call_goes_on_from_nothing(little: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SERVER, raising=False)
    (little.parent / "home").mkdir()
    prepare_manifest(dbt(little, "home"))
    with closing(warm_dbt(little, "home")) as process:
        os.kill(process_of(process), signal.SIGKILL)
        call = dbt(little, "home").cli(["run", "--select", "one", "--vars", "{number: 3}"])
        assert call.is_successful()
    assert SERVER not in os.environ


def is_locked(warehouse: str | Path) -> bool:
    """Return whether another process has the warehouse open, without opening it, which would block that process."""
    try:
        with Path(warehouse).open("rb") as file:
            lock = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            return struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, lock))[0] != fcntl.F_UNLCK
    except FileNotFoundError:
        return False


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def resident_kilobytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
