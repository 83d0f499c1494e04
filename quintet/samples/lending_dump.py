"""Load the generated loan book into PostgreSQL, and write it as dumps.

From the command line:

    python -m quintet.samples.lending_dump write --scale 0.1 --seed 7 --to data/generated-lending
    python -m quintet.samples.lending_dump restore data/generated-lending/loan_book.dump

`restore` uses the database of `QUINTET_POSTGRES_URL`, or the embedded one; a URL after the file names another.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import psycopg
from psycopg import sql

from quintet.embedded.postgres import EmbeddedPostgres, programs, running_url
from quintet.embedded.processes import EmbeddedServerError
from quintet.samples.lending import SCHEMA, LendingWorld, LoanBook, make_book
from quintet.samples.sample import Sample, SampleText
from quintet.settings import SettingsError, load_settings

PLAIN_DUMP = "loan_book.sql"
CUSTOM_DUMP = "loan_book.dump"
TRUTH = "default_risk.csv"

_CLIENTS = LendingWorld().clients
_FEWEST_CLIENTS = 1_000


class RestoreError(RuntimeError):
    """A dump could not be restored; the message is PostgreSQL's."""


def plain_dump(book: LoanBook) -> str:
    """Return the book as a plain SQL dump: the tables and their rows, in one transaction."""
    parts = ["begin;\n", SCHEMA.read_text(encoding="utf-8")]
    for table, rows in _tables(book):
        parts.append(f'copy "{table}" ({", ".join(rows.columns)}) from stdin;\n{_copy_text(rows)}\\.\n')
    return "".join([*parts, "commit;\n"])


def world_at(scale: float) -> LendingWorld:
    """Return the world at a scale; 1.0 has a quarter of the real book's clients, since rows are read one by one.

    Every scale has at least 3,000 clients, enough to train a scoring model.
    """
    return LendingWorld(clients=max(3_000, round(28_500 * scale)))


def make_sample(world: LendingWorld, seed: int) -> Sample:
    """Generate a plain dump for the inbox `loan_book`, with the default risk as its truth."""
    book = make_book(world, seed)
    rows = sum(len(table) for _, table in _tables(book))
    dump = SampleText("loan_book", PLAIN_DUMP, plain_dump(book), rows)
    return Sample((), {"loan_default_risk": book.truth}, (dump,))


def load_book(book: LoanBook, connection: psycopg.Connection, make_tables: bool = True) -> None:
    """Copy the book into a database in one transaction; creates the tables first."""
    with connection.transaction(), connection.cursor() as cursor:
        if make_tables:
            cursor.execute(SCHEMA.read_text(encoding="utf-8").encode())
        for table, rows in _tables(book):
            columns = sql.SQL(", ").join(map(sql.Identifier, rows.columns))
            with cursor.copy(sql.SQL("copy {} ({}) from stdin").format(sql.Identifier(table), columns)) as copy:
                copy.write(_copy_text(rows))


def write_dumps(book: LoanBook, folder: Path) -> list[Path]:
    """Write the book to `folder` as a plain dump and in pg_dump's custom format; return the two files."""
    folder.mkdir(parents=True, exist_ok=True)
    plain, custom = folder / PLAIN_DUMP, folder / CUSTOM_DUMP
    plain.write_text(plain_dump(book), encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="quintet-dump-") as place, EmbeddedPostgres(Path(place) / "pg") as postgres:
        with psycopg.connect(postgres.url) as connection:
            load_book(book, connection)
        _run("pg_dump", "--format=custom", "--no-owner", f"--file={custom}", postgres.url)
    return [plain, custom]


def restore(dump: Path, url: str) -> None:
    """Restore a dump of either format into the database of `url`. Raises RestoreError if PostgreSQL refuses."""
    with dump.open("rb") as file:
        is_custom = file.read(5) == b"PGDMP"
    if is_custom:
        _run("pg_restore", "--no-owner", "--exit-on-error", "--single-transaction", f"--dbname={url}", str(dump))
    else:
        _run("psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--dbname={url}", f"--file={dump}")


def _url_of_settings(servers: contextlib.ExitStack) -> str:
    """Return the URL of the database of the settings, or of the embedded one, started if needed."""
    settings = load_settings()
    if settings.postgres_url is not None:
        return settings.postgres_url.get_secret_value()
    running = running_url(settings.embedded_postgres)
    return running or servers.enter_context(EmbeddedPostgres(settings.embedded_postgres)).url


def _tables(book: LoanBook) -> list[tuple[str, pd.DataFrame]]:
    return [("user", book.user), ("loan", book.loan), ("payment", book.payment)]


def _copy_text(rows: pd.DataFrame) -> str:
    text = io.StringIO()
    rows.to_csv(
        text,
        sep="\t",
        header=False,
        index=False,
        na_rep="\\N",
        date_format="%Y-%m-%d",
        lineterminator="\n",
        quoting=csv.QUOTE_NONE,
    )
    return text.getvalue()


def _run(program: str, *arguments: str) -> None:
    done = subprocess.run([str(programs() / program), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RestoreError(f"{program} ended with status {done.returncode}: {done.stderr.strip()}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or restore dumps; return 0, or 2 if that failed."""
    parser = argparse.ArgumentParser(prog="python -m quintet.samples.lending_dump", description="Dumps of a loan book.")
    commands = parser.add_subparsers(dest="command", required=True)
    write = commands.add_parser("write", help="write a loan book in both formats, and its truth")
    write.add_argument("--scale", type=float, default=1.0, help="1.0 is about the size of the real dump")
    write.add_argument("--seed", type=int, default=7, help="the same seed and scale give the same rows")
    write.add_argument("--to", type=Path, required=True, help="folder of the dumps")
    into = commands.add_parser("restore", help="restore a dump of either format")
    into.add_argument("dump", type=Path)
    into.add_argument("url", nargs="?", help="the database, as a libpq URL; default: from the settings")
    given = parser.parse_args(arguments)
    try:
        if given.command == "restore":
            with contextlib.ExitStack() as servers:
                restore(given.dump, given.url or _url_of_settings(servers))
            print(f"restored {given.dump}")
            return 0
        if not given.scale > 0:
            parser.error(f"--scale must be above 0, not {given.scale}")
        book = make_book(LendingWorld(clients=max(_FEWEST_CLIENTS, round(_CLIENTS * given.scale))), given.seed)
        for dump in write_dumps(book, given.to):
            print(f"{len(book.user) + len(book.loan) + len(book.payment):>10,} rows  {dump}")
        book.truth.to_csv(given.to / TRUTH, index=False, lineterminator="\n")
        print(f"the true default risk is in {given.to / TRUTH}")
        print(f"next: python -m quintet.samples.lending_dump restore {given.to / CUSTOM_DUMP}")
    except (OSError, RestoreError, EmbeddedServerError, SettingsError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
