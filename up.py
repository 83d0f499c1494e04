"""`make up`: everything together: the embedded PostgreSQL filled from the inboxes, Dagster, the API and the pages.

Belongs here: which parts there are. How they run side by side belongs to `quintet/supervisor.py`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from quintet.embedded.postgres import EmbeddedPostgres
from quintet.embedded.processes import EmbeddedServerError
from quintet.promotions.source import fill
from quintet.settings import Settings, SettingsError, load_settings
from quintet.supervisor import Part, Supervisor, to_standard_output

_PROJECT = Path(__file__).parent
_DAGSTER_PORT = 3000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until Ctrl-C, or until a part ends by itself; 0 where it was stopped as asked."""
    parser = argparse.ArgumentParser(prog="make up", description="Everything together.")
    parser.add_argument("--simulate", type=float, metavar="RATE", help="with a CRM of that many applications a second")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the database is stopped too
    try:
        settings = load_settings()
        with source_database(settings) as postgres_url:
            environment = os.environ | {"QUINTET_POSTGRES_URL": postgres_url, "PYTHONUNBUFFERED": "1"}
            return Supervisor(parts_of(given.simulate), environment, to_standard_output).run()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except EmbeddedServerError as error:
        print(f"the embedded PostgreSQL does not start: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before the parts were there; they have their own way of stopping
        return 0


def parts_of(simulated_rate: float | None = None) -> list[Part]:
    """The programs that run side by side, in the order in which they are started.

    simulated_rate: applications a second of a simulated CRM; None for none.
    """
    python = sys.executable
    dagster = str(Path(python).with_name("dagster"))
    workspace = str(_PROJECT / "workspace.yaml")
    return [
        Part(
            "dagster",
            [dagster, "dev", "--workspace", workspace, "--host", "127.0.0.1", "--port", str(_DAGSTER_PORT)],
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
        yield postgres.url


if __name__ == "__main__":
    sys.exit(main())
