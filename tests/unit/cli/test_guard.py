"""A guarded command ends on a signal, whatever its work does, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.waiting import LONG_SECONDS, wait_until

PROLOGUE = """
import os, signal, subprocess, sys, time
from cli import guard
guard.STUCK_SECONDS, guard.GRACE_SECONDS, guard._ORPHAN_SECONDS = 0.5, 1.0, 0.5
"""
PATIENT = PROLOGUE.replace("0.5, 1.0, 0.5", f"{LONG_SECONDS}, {LONG_SECONDS}, 0.5")
SLEEPS = "print('ready', os.getpid(), flush=True); time.sleep(600); return 0"
IS_DEAF = f"""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    {SLEEPS}"""
HAS_A_CHILD = """
    ignores = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-c", ignores])
    print('ready', child.pid, flush=True)
    time.sleep(600)"""
HAS_A_GROUP = """
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], process_group=0)
    guard.name_group(child.pid)
    print('ready', child.pid, flush=True)
    time.sleep(600)"""


def start(work: str, after_death: str = "None", prologue: str = PROLOGUE) -> tuple[subprocess.Popen[str], int]:
    """Start a guarded command, and return it with the number that it prints."""
    program = f"{prologue}\ndef work():\n    {work.strip()}\nsys.exit(guard.guarded(work, {after_death}))\n"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline().split()[-1])


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("work", [SLEEPS, IS_DEAF, HAS_A_CHILD, HAS_A_GROUP], ids=["sleeps", "deaf", "child", "group"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_with_all_that_it_started(work: str, number: signal.Signals):
    process, pid = start(textwrap.dedent(work).replace("\n", "\n    "))
    process.send_signal(number)
    process.communicate(timeout=LONG_SECONDS)

    assert process.returncode == 128 + number
    wait_until(lambda: not is_alive(pid))


@pytest.mark.parametrize("work", [SLEEPS, IS_DEAF, HAS_A_CHILD], ids=["sleeps", "deaf", "child"])
def test_the_work_ends_when_its_guard_is_killed(work: str):
    process, pid = start(textwrap.dedent(work).replace("\n", "\n    "))
    process.kill()
    process.communicate(timeout=LONG_SECONDS)

    wait_until(lambda: not is_alive(pid))


def test_the_guard_cleans_up_after_killed_work():
    process, pid = start(SLEEPS, "lambda: print('tidied')")
    os.kill(pid, signal.SIGKILL)
    said, _ = process.communicate(timeout=LONG_SECONDS)

    assert (process.returncode, said) == (137, "tidied\n")


def test_work_that_ends_cleanly_on_a_signal_has_succeeded():
    process, _ = start(f"signal.signal(signal.SIGINT, lambda *_: os._exit(0)); {SLEEPS}", prologue=PATIENT)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LONG_SECONDS)

    assert process.returncode == 0


def test_no_cleanup_runs_after_work_that_ends_by_itself():
    process, _ = start("print('ready', 1, flush=True); return 3", "lambda: print('tidied')")
    said, _ = process.communicate(timeout=LONG_SECONDS)

    assert (process.returncode, said) == (3, "")


def test_a_thread_with_an_open_connection_is_not_reported_as_a_leak():
    program = f"""{PROLOGUE}
import duckdb, threading
holds = threading.Event()
def hold():
    with duckdb.connect() as connection:
        holds.set()
        time.sleep(600)
def work():
    threading.Thread(target=hold, daemon=True).start()
    holds.wait()
    print("done")
    return 3
sys.exit(guard.guarded(work))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (3, "done\n", "")


def test_stuck_work_records_its_end():
    deaf = textwrap.dedent(f"guard.when_stuck(lambda: os.write(1, b'last words'))\n{IS_DEAF}")
    process, _ = start(
        deaf.replace("\n    ", "\n").replace("\n", "\n    ").replace("    signal.signal(n", "        signal.signal(n")
    )
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=LONG_SECONDS)

    assert said == "last words"


def test_a_command_of_make_ends_when_make_is_killed(tmp_path: Path):
    (tmp_path / "Makefile").write_text(f"wait:\n\t@'{sys.executable}' wait.py\n", "utf-8")
    (tmp_path / "wait.py").write_text(f"{PROLOGUE}\ndef work():\n    {SLEEPS}\nguard.guarded(work)\n", "utf-8")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    make = subprocess.Popen(
        ["make", "--no-print-directory", "wait"], cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert make.stdout is not None
    pid = int(make.stdout.readline().split()[-1])
    make.kill()
    make.wait()

    wait_until(lambda: not is_alive(pid))
