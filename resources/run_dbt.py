"""Run dbt on the manifest that `prepare_manifest` has parsed: one command, or many in forks of a warm process.

dbt's own command parses the project each time, which takes as long as running the models, because its cache depends on
the path of the warehouse although the parsed project does not. Importing dbt takes as long again, so `WarmDbt` starts
this file once for each run with `--serve`. Each command then runs in a fork of that process: it inherits the imported
modules and the parsed project, and its leftovers (connections, threads, flags, loggers, memory) never reach the next
command or the Dagster process.

Started as a file in the project's folder: by `call_dbt.py` with dbt's arguments, or by `WarmDbt`.
"""

from __future__ import annotations

import fcntl
import gc
import io
import json
import os
import select
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

_MOST_BYTES = 4_000_000
"""The limit of a request, which has the arguments and the environment of a command."""

_HALTED = 3

PARSE = ("parse", "--no-partial-parse")
"""Full parsing: a partial parse misses a model that looks up a new macro by its name."""


def main(arguments: Sequence[str]) -> int:
    """Run dbt in this process and return its exit status."""
    status = run(arguments, None if "parse" in arguments else _parsed(os.environ["QUINTET_DBT_PARSED"]))
    _release_warehouse()
    return status


def run(arguments: Sequence[str], manifest: Manifest | None) -> int:
    """Run dbt; return 0 for success, 1 if a model or test failed, 2 if dbt could not continue."""
    from dbt.cli.main import dbtRunner  # noqa: PLC0415  # takes a second; the server takes its lock before

    ran = dbtRunner(manifest).invoke(list(arguments))
    if ran.exception is not None:
        print(ran.exception, file=sys.stderr)
        return 2
    return 0 if ran.success else 1


def _parsed(path: str) -> Manifest:
    from dbt.contracts.graph.manifest import Manifest  # noqa: PLC0415
    from dbt.parser.manifest import extended_mashumuro_decoder  # noqa: PLC0415

    manifest: Manifest = Manifest.from_msgpack(Path(path).read_bytes(), decoder=extended_mashumuro_decoder)
    manifest.build_flat_graph()  # the variable `graph` of macros is not stored
    return manifest


# -- the warm process --------------------------------------------------------------------------------------------------


class _Server:
    """Runs dbt commands until the process that started it ends, which closes the other end of `owner`.

    parsed: the file of the parsed project. digest: the content for `manifest.sha256` after parsing; None if the
    project is already parsed.
    """

    def __init__(self, listener: socket.socket, owner: int, parsed: Path, digest: str | None) -> None:
        self._listener, self._owner = listener, owner
        self._parsed, self._digest = parsed, digest
        self._manifest: Manifest | None = None
        self._version: int | None = None

    def serve(self) -> int:
        """Serve until the owner ends and return 0; in a fork, return the exit status of its command."""
        with (self._parsed.parent / "lock").open("w") as lock:
            # before the imports: other processes wait for this one to parse; if another has the lock, it parses
            parses = self._digest is not None and _is_free(lock)
            _import_dbt()
            if parses:
                status = self._parse()
                if status is not None:
                    return status
        self._load()
        while True:
            ready, _, _ = select.select([self._listener, self._owner], [], [])
            if self._owner in ready:
                shutil.rmtree(Path(self._listener.getsockname()).parent, ignore_errors=True)
                return 0
            connection, _ = self._listener.accept()
            status = self._answer(connection)
            if status is not None:
                return status

    def _parse(self) -> int | None:
        """Parse the project in a fork, because dbt leaves flags and loggers behind; return a status in the fork."""
        pid = os.fork()
        if pid == 0:
            silent = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silent, 1)
            os.dup2(silent, 2)
            return run(PARSE, None)
        _, status = os.waitpid(pid, 0)
        if status == 0:  # if the project cannot be parsed, the call in `prepare_manifest` reports the reason
            (self._parsed.parent / "manifest.sha256").write_text(str(self._digest))
        return None

    def _load(self) -> None:
        """Load the parsed project, and reload it if its file has changed."""
        try:
            version = self._parsed.stat().st_mtime_ns
        except FileNotFoundError:
            self._manifest = self._version = None
            return
        if version != self._version:
            self._manifest, self._version = _parsed(str(self._parsed)), version
            # a command that opens no warehouse: every fork inherits what dbt compiles on its first command
            run(["list", "--quiet", "--no-write-json", "--select", "tag:results"], self._manifest)
            gc.collect()
            gc.freeze()  # a fork's garbage collector would copy every page that it visits

    def _answer(self, connection: socket.socket) -> int | None:
        with connection:
            request, descriptors = _receive(connection)
            if request is None:
                return None
            self._load()
            # the system reaps the fork; the caller gets the status from the fork itself
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            pid = os.fork()
            if pid == 0:
                self._listener.close()
                return self._call(connection.dup(), request, descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            return None

    def _call(self, connection: socket.socket, request: dict[str, Any], descriptors: Sequence[int]) -> int:
        """Take on the caller's output, environment and folder, run the command, and send its exit status."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for descriptor, standard in zip(descriptors, (1, 2), strict=True):
            os.dup2(descriptor, standard)
            os.close(descriptor)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        threading.Thread(target=self._halt_with, args=(connection,), daemon=True).start()
        arguments = request["arguments"]
        known = os.environ.get("QUINTET_DBT_PARSED") == str(self._parsed)
        connection.sendall(f"{os.getpid()}\n".encode())
        try:
            status = run(arguments, self._manifest) if known and "parse" not in arguments else main(arguments)
        except KeyboardInterrupt:
            status = 130
        _release_warehouse()
        connection.sendall(f"{status}\n".encode())
        return status

    def _halt_with(self, connection: socket.socket) -> None:
        """End this fork at once when its caller or the run is gone, to release the lock on the warehouse."""
        select.select([connection, self._owner], [], [])
        os._exit(_HALTED)


def _receive(connection: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """Return the request, a line of JSON, and the caller's standard output and error; None if the caller is gone."""
    data, descriptors, _, _ = socket.recv_fds(connection, _MOST_BYTES, 2)
    while data and not data.endswith(b"\n"):
        more = connection.recv(_MOST_BYTES)
        data = data + more if more else b""
    return (json.loads(data) if data else None), list(descriptors)


def _is_free(lock: IO[str]) -> bool:
    """Take the lock if it is free, and return whether it was."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _release_warehouse() -> None:
    """Close the database that dbt-duckdb keeps open for the next command, which writes its log into its file."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager  # noqa: PLC0415

    # private, because `close_all_connections` drops the environment and leaves closing it to the garbage collector
    environment = DuckDBConnectionManager._ENV
    if environment is not None:
        environment.close()


def _import_dbt() -> None:
    import dbt.task.build  # noqa: F401, PLC0415  # the command line imports it only on its first command
    from dbt.adapters.factory import load_plugin  # noqa: PLC0415
    from dbt.cli.main import dbtRunner  # noqa: F401, PLC0415

    load_plugin("duckdb")


def _serve(listener: str, parsed: str, digest: str) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run handles Ctrl-C and ends this process
    return _Server(socket.socket(fileno=int(listener)), sys.stdin.fileno(), Path(parsed), digest or None).serve()


if __name__ == "__main__":
    gc.disable()  # this process is short-lived or forks; garbage collection takes a sixth of a command
    ended = _serve(*sys.argv[2:]) if sys.argv[1:2] == ["--serve"] else main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(ended)  # everything is closed; tearing down the interpreter takes 0.1 s and makes DuckDB print a report
