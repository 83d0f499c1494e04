"""A benchmark leaves no process and no file, even when interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bench.tidy import tidied
from tests.waiting import LONG_SECONDS

# A server in a session of its own whose parent has ended, as a daemon has none.
_LEAVES = """
import multiprocessing.util, subprocess, sys, tempfile, time
from pathlib import Path
from bench.tidy import Stopped, signals_raised, tidied
orphan = "import subprocess as s; print(s.Popen(['sleep', '60'], start_new_session=True, stdout=-3, stderr=-3).pid)"
try:
    with signals_raised(), tidied() as folder:
        (Path(tempfile.mkdtemp()) / "file").write_text("left")
        multiprocessing.util.get_temp_dir()  # as a process in another context does, and the interpreter removes it
        server = subprocess.Popen(["sleep", "60"])
        pid = subprocess.run([sys.executable, "-c", orphan], capture_output=True, text=True, check=True).stdout.strip()
        print(folder, server.pid, pid, flush=True)
        time.sleep(60)
except Stopped as stopped:
    sys.exit(128 + stopped.number)
"""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's list of children is read, which Linux alone has")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_bench_leaves_nothing(number: signal.Signals, project: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _LEAVES], cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    folder, *pids = process.stdout.readline().split()
    assert Path(folder).is_dir()
    assert all(is_running(int(pid)) for pid in pids)

    process.send_signal(number)
    _, errors = process.communicate(timeout=LONG_SECONDS)

    assert (process.returncode, errors) == (128 + number, "")
    assert not Path(folder).exists()
    assert not any(is_running(int(pid)) for pid in pids)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's list of children is read, which Linux alone has")
def test_what_ran_before_is_spared() -> None:
    with subprocess.Popen(["sleep", "60"]) as before:
        with tidied() as folder:
            assert Path(tempfile.mkdtemp()).parent == folder
            with subprocess.Popen(["sleep", "60"]) as meanwhile:
                os.kill(meanwhile.pid, 0)
                meanwhile.kill()
        assert before.poll() is None
        before.kill()
    assert Path(tempfile.gettempdir()) != folder
