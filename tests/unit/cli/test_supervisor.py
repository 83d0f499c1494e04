"""Several programs run as one: each line has the name of its program, and none outlives the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from cli import services
from cli.guard import GRACE_SECONDS
from cli.supervisor import STOP_SECONDS, Part, Supervisor, step_back
from tests.waiting import LONG_SECONDS, wait_until


def part(name: str, program: str) -> Part:
    return Part(name, [sys.executable, "-u", "-c", textwrap.dedent(program)])


WAITS = part("waits", f"import os, time; print('pid', os.getpid()); time.sleep({LONG_SECONDS})")
SAYS_AND_ENDS = part("ends", "print('ä line'); print('another')")


def waits_and_says_so(folder: Path) -> Part:
    """Return a part that prints its process number, writes a file to the folder to report it, and keeps running."""
    program = f"""
        import os, pathlib, time
        print("pid", os.getpid())
        pathlib.Path({str(folder / "said")!r}).touch()
        time.sleep({LONG_SECONDS})
    """
    return part("waits", program)


def dies_after_it(folder: Path) -> Part:
    """Return a part that fails as soon as the file is there."""
    program = f"""
        import pathlib, time
        while not pathlib.Path({str(folder / "said")!r}).exists():
            time.sleep(0.02)
        raise SystemExit(3)
    """
    return part("dies", program)


def run(*parts: Part) -> tuple[int, list[str]]:
    lines: list[str] = []
    status = Supervisor(parts, os.environ, lines.append).run()
    return status, lines


def is_alive(pid: int) -> bool:
    """Return whether the process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_every_line_bears_the_name_of_its_part():
    _, lines = run(WAITS, SAYS_AND_ENDS)

    assert "ends  | ä line\n" in lines
    assert "ends  | another\n" in lines


def test_when_one_ends_the_others_are_stopped_and_the_log_says_which(tmp_path: Path):
    status, lines = run(waits_and_says_so(tmp_path), dies_after_it(tmp_path))
    (pid,) = [int(line.split()[-1]) for line in lines if "pid" in line]

    assert status == 1
    assert "up    | dies has ended; stopping the others\n" in lines
    assert not is_alive(pid)


def test_what_a_part_started_itself_does_not_outlive_it(tmp_path: Path):
    parent = part(
        "parent",
        f"""
        import pathlib, subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep({LONG_SECONDS})"])
        print("pid", child.pid)
        pathlib.Path({str(tmp_path / "said")!r}).touch()
        time.sleep({LONG_SECONDS})
        """,
    )
    _, lines = run(parent, dies_after_it(tmp_path))
    (pid,) = [int(line.split()[-1]) for line in lines if "pid" in line]

    wait_until(lambda: not is_alive(pid))  # a killed process takes a moment to be gone


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_signal_stops_all_parts_and_returns_0(number: str):
    program = f"""
        import os, sys
        from cli.supervisor import Part, Supervisor, to_standard_output
        waits = Part("waits", {list(WAITS.command)!r})
        sys.exit(Supervisor([waits], os.environ, to_standard_output).run())
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid = int(process.stdout.readline().split()[-1])
    process.send_signal(signal.Signals[number])
    process.communicate(timeout=LONG_SECONDS)

    assert process.returncode == 0
    assert not is_alive(pid)


def test_a_part_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cli.supervisor.STOP_SECONDS", 0.5)
    deaf = part(
        "deaf",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready'); "
        f"time.sleep({LONG_SECONDS})",
    )
    lines: list[str] = []
    supervisor = Supervisor([deaf], os.environ, lines.append)

    def stop_once_it_is_ready() -> None:
        wait_until(lambda: any("ready" in line for line in lines))
        supervisor.stop()

    threading.Thread(target=stop_once_it_is_ready).start()

    assert supervisor.run() == 0
    assert any("killing it" in line for line in lines)


@pytest.mark.parametrize("is_deaf", [True, False])
def test_what_a_part_starts_before_it_stops_ends_in_the_same_time(
    is_deaf: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("cli.supervisor.STOP_SECONDS", 0.5 if is_deaf else LONG_SECONDS)
    done = tmp_path / "done"
    program = f"import time; time.sleep({LONG_SECONDS})" if is_deaf else f"open({str(done)!r}, 'w')"
    helpers: list[subprocess.Popen[bytes]] = []

    def before_stop(group: int) -> subprocess.Popen[bytes]:
        assert is_alive(group)
        helpers.append(subprocess.Popen([sys.executable, "-c", program]))
        return helpers[0]

    supervisor = Supervisor([replace(WAITS, before_stop=before_stop)], os.environ, [].append)
    supervisor.stop()

    assert supervisor.run() == 0
    assert helpers[0].returncode == (-signal.SIGKILL if is_deaf else 0)
    assert done.exists() != is_deaf


def test_the_guard_waits_longer_than_the_parts_take_to_stop():
    assert services._RUN_SECONDS + 2 < STOP_SECONDS, "the UI and the daemon need time after their runs"
    assert STOP_SECONDS + 1.5 < GRACE_SECONDS


SAYS_ITS_CLASS = """
    import os
    from cli.supervisor import step_back
    if {steps_back}:
        step_back()
    print(os.sched_getscheduler(0) == os.SCHED_IDLE, os.getsid(0) == os.getsid(os.getppid()))
"""


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="this system has no class for what runs behind all else")
@pytest.mark.parametrize("steps_back", [True, False])
def test_a_part_runs_behind_the_others_where_it_steps_back(steps_back: bool):
    _, lines = run(part("part", SAYS_ITS_CLASS.format(steps_back=steps_back)))

    # In one session with the others: between sessions the scheduling class has no effect.
    assert lines[0] == f"part | {steps_back} True\n"


def test_without_the_idle_class_the_lowest_priority_is_used(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise PermissionError("not here")

    asked: list[tuple[int, ...]] = []
    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    monkeypatch.setattr(os, "setpriority", lambda *arguments: asked.append(arguments))
    step_back()
    step_back(4711)

    assert asked == [(os.PRIO_PROCESS, 0, 19), (os.PRIO_PROCESS, 4711, 19)]
