"""`quintet up`: run everything together: the embedded PostgreSQL with data, its change stream, an S3 server for it,
Dagster, the API and the pages. Everything is built once before the sensors and the service start.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from cli.ports import need_free
from cli.quiet_log import QuietLog
from cli.run import first_key
from cli.services import dagster_part, only_daemon
from cli.supervisor import Part, Supervisor, to_standard_output
from cli.ui_token import create_token, ui_link
from quintet.embedded.object_store import EmbeddedObjectStore
from quintet.embedded.postgres import EmbeddedPostgres
from quintet.promotions.postgres_extract import fill
from quintet.settings import Settings, load_settings


def up(home: Path, dagster_port: int, simulated_rate: float | None = None) -> int:
    """Run until stopped and return 0, or until a part ends by itself and return 1."""
    settings, dagster_home = load_settings(), Path(os.environ["DAGSTER_HOME"])
    need_free(settings.host, dagster_port, "the Dagster UI", "quintet up --dagster-port 3001")
    need_free(settings.host, settings.port, "the pages and the API", "set QUINTET_PORT")
    if settings.stream_port:
        need_free(settings.host, settings.stream_port, "the stream's metrics", "set QUINTET_STREAM_PORT (0 for none)")
    plain = frozenset({"crm", "up"})
    with only_daemon(dagster_home), QuietLog(home / "logs", sys.stdout, plain) as log:
        key = first_key(settings)  # before any part creates its own key
        with source_database(settings) as postgres_url, change_log(settings) as bucket:
            environment = os.environ | bucket | {"QUINTET_POSTGRES_URL": postgres_url, "PYTHONUNBUFFERED": "1"}
            _build_once(environment)
            table = places(settings, dagster_port, has_embedded_servers=settings.postgres_url is None)
            console = Console(highlight=False, markup=False)
            console.print(table)
            address = settings.dagster_url or settings.local_url(dagster_port)
            link = ui_link(address, create_token(dagster_home, os.urandom))
            console.print(f"Dagster UI, with its token: {link}", soft_wrap=True)  # to be copied
            console.print(key_line(settings, key), soft_wrap=True)
            parts = parts_of(dagster_home, dagster_port, has_stream=bool(bucket), simulated_rate=simulated_rate)
            return Supervisor(parts, environment, log).run()


def parts_of(
    dagster_home: Path, dagster_port: int, has_stream: bool, simulated_rate: float | None = None
) -> list[Part]:
    """Return the programs that run side by side, in the order of their start.

    simulated_rate: applications a second of a simulated CRM; None for none.
    """
    python = sys.executable
    stream = [Part("stream", [python, "-m", "quintet.replication"])] if has_stream else []
    return [
        *stream,
        dagster_part(dagster_port, dagster_home),
        Part("serve", [python, "-m", "quintet.web"]),
        *([] if simulated_rate is None else [Part("crm", _crm(simulated_rate))]),
    ]


def places(settings: Settings, dagster_port: int, has_embedded_servers: bool) -> Table:
    """Return a table of what runs where, starting with what to open first."""
    pages = settings.local_url(settings.port)
    table = Table(
        "what", Column("where", overflow="fold"), title="everything is running; Ctrl-C stops it", title_justify="left"
    )
    table.add_row("open first: the pages", pages)
    table.add_row("API, to read and to try", f"{pages}/docs")
    table.add_row("Dagster UI, sensors on", f"{settings.local_url(dagster_port)} (its link is below)")
    if has_embedded_servers:
        table.add_row("PostgreSQL", f"{settings.embedded_postgres} (port, password)")
    if has_embedded_servers and settings.object_store_url is None:
        table.add_row("S3 server", f"{settings.embedded_objects} (port, keys)")
    table.add_row("metrics of the service", f"{pages}/metrics")
    if has_embedded_servers and settings.stream_port:
        table.add_row("metrics of the stream", f"{settings.local_url(settings.stream_port)}/metrics")
    table.add_row("full logs", str(settings.home / "logs"))
    return table


def key_line(settings: Settings, key: str | None) -> str:
    """Return the admin key, or how to get one."""
    if key is not None:
        return f"admin key, shown this once: {key}"
    if settings.admin_key is not None:
        return "admin key: the value of QUINTET_ADMIN_KEY"
    return 'admin key: shown when it was created; to create another: make keys DO="create --name me --scopes admin"'


def _build_once(environment: Mapping[str, str]) -> None:
    """Build what is not up to date, as `quintet run` does, so that the sensors find nothing new."""
    built = subprocess.run([sys.executable, "-m", "cli", "run", "--brief"], env=environment, check=False)
    if built.returncode != 0:
        to_standard_output("up | not everything was built; see the lines above. A new file starts a new run\n")


def _crm(rate: float) -> list[str]:
    return [sys.executable, "-m", "quintet.samples.crm", "--rate", str(rate), "--seconds", "0"]


@contextmanager
def source_database(settings: Settings) -> Iterator[str]:
    """Yield the URL of the application's database: the one in the settings, which is only read, or an embedded one.

    The embedded one runs as long as the body. Its empty promotions tables are filled from the inboxes; the build loads
    the loan book.
    """
    if settings.postgres_url is not None:
        yield settings.postgres_url.get_secret_value()
        return
    settings.home.mkdir(parents=True, exist_ok=True)
    with EmbeddedPostgres(settings.home / "postgres") as postgres:
        to_standard_output(f"up | PostgreSQL is running in {postgres.folder}\n")
        for table, rows in fill(postgres.url, settings.raw).items():
            to_standard_output(f"up | {table}: {rows:,} rows written to PostgreSQL\n")
        yield postgres.url


@contextmanager
def change_log(settings: Settings) -> Iterator[dict[str, str]]:
    """Yield the variables of the bucket for the change stream: the bucket in the settings, or an embedded one that
    runs as long as the body.

    Yields none for an external database: a stopped stream makes that database keep its log, so the user has to start
    the stream on purpose.
    """
    if settings.postgres_url is not None:
        to_standard_output("up | the stream of your own database is not started here; start it with: make stream\n")
        yield {}
    elif settings.object_store_url is not None:
        yield {"QUINTET_OBJECT_STORE_URL": settings.object_store_url.get_secret_value()}
    else:
        with EmbeddedObjectStore(settings.embedded_objects) as objects:
            to_standard_output(f"up | the S3 server is running in {objects.folder}\n")
            yield {"QUINTET_OBJECT_STORE_URL": objects.url}
