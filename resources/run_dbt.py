"""Calls of dbt on the manifest that `prepare_manifest` has parsed already: one, or each in a copy of a warm process.

dbt's own command parses the project in each call, which takes as long as running the models, because the path of the
warehouse is part of what it compares; nothing that is parsed depends on it. Importing dbt takes as long again, so
`WarmDbt` starts this file once a run with `--serve`. Each call is then a fork of that process: it inherits what is
imported and parsed, and nothing that a call leaves behind (connections, threads, flags, loggers, memory) reaches the
next one, or the process that runs Dagster.

Started as a file, in the project's folder: by `call_dbt.py` with the arguments of dbt, or by `WarmDbt`.
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
"""Of a request: the arguments and the environment of a call."""

_HALTED = 3

PARSE = ("parse", "--no-partial-parse")
"""From scratch: a new macro that a model looks up by its name would not let dbt parse that model again."""


def main(arguments: Sequence[str]) -> int:
    """Run dbt in this process and return its exit status."""
    status = run(arguments, None if "parse" in arguments else _parsed(os.environ["QUINTET_DBT_PARSED"]))
    _release_warehouse()
    return status


def run(arguments: Sequence[str], manifest: Manifest | None) -> int:
    """Run dbt: 0 for success, 1 where a model or test failed, 2 where dbt could not go on."""
    from dbt.cli.main import dbtRunner  # noqa: PLC0415  # a second; the server takes its lock before

    ran = dbtRunner(manifest).invoke(list(arguments))
    if ran.exception is not None:
        print(ran.exception, file=sys.stderr)
        return 2
    return 0 if ran.success else 1


def _parsed(path: str) -> Manifest:
    from dbt.contracts.graph.manifest import Manifest  # noqa: PLC0415
    from dbt.parser.manifest import extended_mashumuro_decoder  # noqa: PLC0415

    manifest: Manifest = Manifest.from_msgpack(Path(path).read_bytes(), decoder=extended_mashumuro_decoder)
    manifest.build_flat_graph()  # what macros see as `graph` is not written out
    return manifest


# -- the warm process --------------------------------------------------------------------------------------------------


class _Server:
    """Answers calls until the process that started it ends, which closes the other end of `owner`.

    parsed: the file of the parsed project. digest: what to write to `manifest.sha256` beside it after parsing, where
    the project has to be parsed first.
    """

    def __init__(self, listener: socket.socket, owner: int, parsed: Path, digest: str | None) -> None:
        self._listener, self._owner = listener, owner
        self._parsed, self._digest = parsed, digest
        self._manifest: Manifest | None = None
        self._version: int | None = None

    def serve(self) -> int:
        """Serve; returns 0 in this process at the end, and the status of a call in the fork that made it."""
        with (self._parsed.parent / "lock").open("w") as lock:
            # before the imports: whoever wants the manifest now waits for ours; where another has it, that one parses
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
        """Parse the project, in a fork because dbt leaves flags and loggers behind; gives a status in the fork."""
        pid = os.fork()
        if pid == 0:
            silent = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silent, 1)
            os.dup2(silent, 2)
            return run(PARSE, None)
        _, status = os.waitpid(pid, 0)
        if status == 0:  # of a project that cannot be parsed, the call of `prepare_manifest` tells the reason
            (self._parsed.parent / "manifest.sha256").write_text(str(self._digest))
        return None

    def _load(self) -> None:
        """Load the parsed project, again where its file has changed."""
        try:
            version = self._parsed.stat().st_mtime_ns
        except FileNotFoundError:
            self._manifest = self._version = None
            return
        if version != self._version:
            self._manifest, self._version = _parsed(str(self._parsed)), version
            # a call that opens no warehouse: what dbt compiles for itself on its first call, every fork has then
            run(["list", "--quiet", "--no-write-json", "--select", "tag:results"], self._manifest)
            gc.collect()
            gc.freeze()  # a fork's collector would copy every page that it looks at

    def _answer(self, connection: socket.socket) -> int | None:
        with connection:
            request, descriptors = _receive(connection)
            if request is None:
                return None
            self._load()
            # reaped by the system: the caller learns the status from the fork itself
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            pid = os.fork()
            if pid == 0:
                self._listener.close()
                return self._call(connection.dup(), request, descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            return None

    def _call(self, connection: socket.socket, request: dict[str, Any], descriptors: Sequence[int]) -> int:
        """Become the process that the caller would have started, make the call, and tell the status."""
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
        """End this fork at once when its caller or the run is gone, so that it keeps no lock on the warehouse."""
        select.select([connection, self._owner], [], [])
        os._exit(_HALTED)


def _receive(connection: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """Return the request, a line of JSON, and the caller's standard output and error; None where the caller is gone."""
    data, descriptors, _, _ = socket.recv_fds(connection, _MOST_BYTES, 2)
    while data and not data.endswith(b"\n"):
        more = connection.recv(_MOST_BYTES)
        data = data + more if more else b""
    return (json.loads(data) if data else None), list(descriptors)


def _is_free(lock: IO[str]) -> bool:
    """Return whether the lock was free; it is ours then."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _release_warehouse() -> None:
    """Close the database that dbt-duckdb keeps open for the next call; what is in its log goes into its file."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager  # noqa: PLC0415

    # private, because `close_all_connections` forgets the environment and leaves closing it to the collector
    environment = DuckDBConnectionManager._ENV
    if environment is not None:
        environment.close()


def _import_dbt() -> None:
    import dbt.task.build  # noqa: F401, PLC0415  # which the command line imports with its first call alone
    from dbt.adapters.factory import load_plugin  # noqa: PLC0415
    from dbt.cli.main import dbtRunner  # noqa: F401, PLC0415

    load_plugin("duckdb")


def _serve(listener: str, parsed: str, digest: str) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run, which ends this process
    return _Server(socket.socket(fileno=int(listener)), sys.stdin.fileno(), Path(parsed), digest or None).serve()


if __name__ == "__main__":
    gc.disable()  # this process is short, or forks; to look for garbage takes a sixth of a call
    ended = _serve(*sys.argv[2:]) if sys.argv[1:2] == ["--serve"] else main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(ended)  # all is closed; taking the interpreter down takes 0.1 s, and DuckDB's library reports on it
