"""A standalone Apache Spark on this machine: a master, workers and a Spark Connect server, each a process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from bench.comparators import comparator
from bench.measure import BenchError, MissingError, family
from quintet.embedded.processes import free_port

_STARTS_WITHIN_SECONDS = 120
_WORKER_MEMORY = "2g"


class Standalone:
    """The cluster. remote: the URL of its Spark Connect server."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("java") is None:
            raise MissingError("Apache Spark needs Java 17: apt-get install openjdk-17-jre-headless")
        [self._home] = (comparator("spark").parent / "lib").glob("python*/site-packages/pyspark")
        self._folder = folder
        self._stack = ExitStack()
        self._workers: list[subprocess.Popen[bytes]] = []
        self._ports = {name: free_port() for name in ("master", "connect")}
        self._environment = os.environ | {
            "SPARK_HOME": str(self._home),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_DIRS": str(folder / "local"),
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_DRIVER_PYTHON": sys.executable,
        }

    @property
    def remote(self) -> str:
        """The URL for `QUINTET_SPARK_REMOTE`."""
        return f"sc://127.0.0.1:{self._ports['connect']}"

    @property
    def _master(self) -> str:
        return f"spark://127.0.0.1:{self._ports['master']}"

    def start(self) -> None:
        """Start the master, a worker and the server, and wait until it answers."""
        master = ["--host", "127.0.0.1", "--port", str(self._ports["master"]), "--webui-port", "0"]
        self._class("org.apache.spark.deploy.master.Master", master, "I have been elected leader")
        self.add_worker()
        server = [str(self._home / "bin" / "spark-submit"), "--master", self._master]
        for setting in (
            f"spark.connect.grpc.binding.port={self._ports['connect']}",
            "spark.connect.grpc.binding.address=127.0.0.1",
            f"spark.executor.memory={_WORKER_MEMORY}",
            "spark.executor.cores=1",
            "spark.ui.enabled=false",
        ):
            server += ["--conf", setting]
        server += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"]
        self._start("connect", server, "Spark Connect server started")

    def add_worker(self) -> None:
        """Start another worker with one core; running applications use it as well."""
        name = "org.apache.spark.deploy.worker.Worker"
        work = self._folder / f"work-{len(self._workers)}"
        options = ["--host", "127.0.0.1", "--cores", "1", "--memory", _WORKER_MEMORY, "--work-dir", str(work)]
        started = self._class(name, [*options, "--webui-port", "0", self._master], "Successfully registered with")
        self._workers.append(started)

    def kill_worker(self) -> None:
        """Kill the last worker with all processes that it started, as a lost machine would go."""
        for pid in family(self._workers.pop().pid):
            with _gone():
                os.kill(pid, 9)

    def stop(self) -> None:
        """End all processes."""
        self._stack.close()

    def _class(self, name: str, arguments: list[str], sign: str) -> subprocess.Popen[bytes]:
        command = [str(self._home / "bin" / "spark-class"), name, *arguments]
        return self._start(f"{name.rpartition('.')[2]}-{len(self._workers)}", command, sign)

    def _start(self, name: str, command: list[str], sign: str) -> subprocess.Popen[bytes]:
        log = self._folder / f"{name}.log"
        output: BinaryIO = self._stack.enter_context(log.open("wb"))
        process = subprocess.Popen(command, stdout=output, stderr=output, env=self._environment, cwd=self._folder)
        self._stack.callback(_end, process)
        until = time.monotonic() + _STARTS_WITHIN_SECONDS
        while sign.encode() not in log.read_bytes():
            if process.poll() is not None or time.monotonic() > until:
                raise BenchError(f"{name} did not start:\n{log.read_text('utf-8', 'replace')[-2_000:]}")
            time.sleep(0.1)
        return process


def _end(process: subprocess.Popen[bytes]) -> None:
    for pid in reversed(family(process.pid)):
        with _gone():
            os.kill(pid, 9)
    process.wait()


@contextmanager
def _gone() -> Iterator[None]:
    try:
        yield
    except ProcessLookupError:  # it ended by itself
        return
