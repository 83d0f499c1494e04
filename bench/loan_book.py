"""Load a large PostgreSQL dump of a loan book: rate and memory, beside `psql`.

The dump has a whole CRM: a loan book, and a table that lending does not need, which fills it up to the wanted size.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from bench.measure import Line, options, print_lines, run_and_watch
from quintet.embedded.postgres import EmbeddedPostgres, programs
from quintet.samples.lending import LendingWorld, make_book
from quintet.samples.lending_dump import plain_dump

USUALLY = "4 min"

_BYTES, _CLIENTS = 2_000_000_000, 30_000
_QUICK_BYTES, _QUICK_CLIENTS = 20_000_000, 500
_MOST_MB = 1_000.0
_PADDING = "x" * 200

_LOAD = """
import sys
from pathlib import Path
from quintet.lending.loan_book import load_dump
from quintet.lending.sandbox import Limits
dump, sha256, url, scratch = sys.argv[1:]
limits = Limits(3600, 20_000_000_000)
load_dump(Path(dump), sha256, url, Path(scratch), limits, print, "quintet", may_have_others=True)
"""


def write_dump(file: Path, size: int, clients: int) -> str:
    """Write a plain dump of at least `size` bytes; return its SHA-256."""
    with file.open("w", encoding="utf-8") as text:
        text.write("create table letter (id bigint, body text);\ncopy letter (id, body) from stdin;\n")
        number = 0
        while text.tell() < size:
            text.write("".join(f"{number + place}\t{_PADDING}\n" for place in range(10_000)))
            number += 10_000
        text.write("\\.\n")
        text.write(plain_dump(make_book(LendingWorld(clients=clients), 7)))
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def restore_with_psql(dump: Path, url: str) -> float:
    """Restore a dump into an empty database with PostgreSQL's own program; return the seconds."""
    began = time.perf_counter()
    subprocess.run(
        [programs() / "psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--dbname={url}", f"--file={dump}"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - began


def main() -> int:
    """Measure and print the table; return the exit status of a benchmark."""
    quick = options("loan_book", __doc__).parse_args().quick
    size, clients = (_QUICK_BYTES, _QUICK_CLIENTS) if quick else (_BYTES, _CLIENTS)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o711)
        dump = folder / "crm.sql"
        sha256 = write_dump(dump, size, clients)
        with EmbeddedPostgres(folder / "postgres") as server:
            with psycopg.connect(server.url, autocommit=True) as admin:
                admin.execute("create database by_psql")
            by_psql = restore_with_psql(dump, server.url.rsplit("/", 1)[0] + "/by_psql")
            with psycopg.connect(server.url, autocommit=True) as admin:
                admin.execute("drop database by_psql")
            seconds, peak_mb = run_and_watch(
                ["-c", _LOAD, str(dump), sha256, server.url, str(folder / "restore")], {**os.environ}, sys.executable
            )
    megabytes = size / 1e6
    what = f"a dump of {megabytes:,.0f} MB with {clients:,} clients"
    return print_lines(
        "Loading a dump",
        [
            Line(f"{what}: checked and loaded", f"{seconds:.1f} s, {megabytes / seconds:.0f} MB/s", "", True,
                 f"psql without a check {by_psql:.1f} s"),
            Line(f"{what}: memory with the server of the restore", f"{peak_mb:,.0f} MB at most",
                 f"at most {_MOST_MB:,.0f} MB", peak_mb <= _MOST_MB, is_exact=True),
        ],
    )  # fmt: skip
