"""`make up`: everything together: the embedded PostgreSQL, filled, with its change stream and an S3 server for it,
Dagster, the API and the pages.

Belongs here: which parts there are. How they run side by side belongs to `cli/supervisor.py`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from cli.supervisor import Part, Supervisor, behind, to_standard_output
from quintet.embedded.object_store import EmbeddedObjectStore
from quintet.embedded.postgres import EmbeddedPostgres
from quintet.embedded.processes import EmbeddedServerError
from quintet.promotions.source import fill
from quintet.samples.lending import LendingWorld, make_book
from quintet.samples.lending_dump import load_book
from quintet.settings import Settings, SettingsError, load_settings

_PROJECT = Path(__file__).parents[1]
_DAGSTER_PORT = 3000
_SAMPLE_CLIENTS, _SAMPLE_SEED = 1_000, 7


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until Ctrl-C, or until a part ends by itself; 0 where it was stopped as asked."""
    parser = argparse.ArgumentParser(prog="make up", description="Everything together.")
    parser.add_argument("--simulate", type=float, metavar="RATE", help="with a CRM of that many applications a second")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the database is stopped too
    try:
        settings = load_settings()
        with source_database(settings) as postgres_url, change_log(settings) as log:
            environment = os.environ | log | {"QUINTET_POSTGRES_URL": postgres_url, "PYTHONUNBUFFERED": "1"}
            return Supervisor(
                parts_of(has_stream=bool(log), simulated_rate=given.simulate), environment, to_standard_output
            ).run()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except EmbeddedServerError as error:
        print(f"an embedded server does not start: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before the parts were there; they have their own way of stopping
        return 0


def parts_of(has_stream: bool, simulated_rate: float | None = None) -> list[Part]:
    """The programs that run side by side, in the order in which they are started.

    simulated_rate: applications a second of a simulated CRM; None for none.
    """
    python = sys.executable
    dagster = str(Path(python).with_name("dagster"))
    workspace = str(_PROJECT / "workspace.yaml")
    stream = [Part("stream", [python, "-m", "quintet.stream"])] if has_stream else []
    return [
        *stream,
        Part(
            "dagster",
            behind([dagster, "dev", "--workspace", workspace, "--host", "127.0.0.1", "--port", str(_DAGSTER_PORT)]),
            stop_signal=signal.SIGINT,
        ),
        Part("serve", [python, "-m", "quintet.web"]),
        *([] if simulated_rate is None else [Part("crm", _crm(simulated_rate))]),
    ]


def _crm(rate: float) -> list[str]:
    return [sys.executable, "-m", "quintet.samples.crm", "--rate", str(rate), "--seconds", "0"]


@contextmanager
def source_database(settings: Settings) -> Iterator[str]:
    """The URL of the application's database: that of the settings, which is only read, else an embedded one.

    The embedded one runs as long as the body, and its empty tables are filled from the inboxes.
    """
    if settings.postgres_url is not None:
        yield settings.postgres_url.get_secret_value()
        return
    settings.home.mkdir(parents=True, exist_ok=True)
    with EmbeddedPostgres(settings.home / "postgres") as postgres:
        to_standard_output(f"up | PostgreSQL runs in {postgres.folder}\n")
        for table, rows in fill(postgres.url, settings.raw).items():
            to_standard_output(f"up | {table}: {rows:,} rows put into PostgreSQL\n")
        for table, count in load_sample_book(postgres.url).items():
            to_standard_output(f"up | {table}: {count:,} rows of the sample's loan book put into PostgreSQL\n")
        yield postgres.url


def load_sample_book(url: str) -> dict[str, int]:
    """Put a generated loan book where there are no tables of one, for the stream to stream; its rows by table."""
    with psycopg.connect(url) as connection:
        if connection.execute("select to_regclass('public.loan')").fetchone() != (None,):
            return {}
        book = make_book(LendingWorld(clients=_SAMPLE_CLIENTS), _SAMPLE_SEED)
        load_book(book, connection)
    return {"user": len(book.user), "loan": len(book.loan), "payment": len(book.payment)}


@contextmanager
def change_log(settings: Settings) -> Iterator[dict[str, str]]:
    """The variables of the bucket that the stream of the embedded PostgreSQL writes to: that of the settings, else an
    embedded one that runs as long as the body.

    None where the database is one's own: a stream keeps that database's log from being removed while it does not run,
    so that it is started on purpose.
    """
    if settings.postgres_url is not None:
        to_standard_output("up | no stream of a database of your own; start it with: make stream\n")
        yield {}
    elif settings.object_store_url is not None:
        yield {"QUINTET_OBJECT_STORE_URL": settings.object_store_url.get_secret_value()}
    else:
        with EmbeddedObjectStore(settings.embedded_objects) as objects:
            to_standard_output(f"up | the S3 server runs in {objects.folder}\n")
            yield {"QUINTET_OBJECT_STORE_URL": objects.url}


if __name__ == "__main__":
    sys.exit(main())
