"""Loading survives `kill -9` at any moment and a second loader beside it: the raw tables are as without them."""

from __future__ import annotations

import datetime as dt
import gzip
import os
import random
import time
from pathlib import Path

import pytest

from quintet.domains import DATASETS
from quintet.ingest.checks import check_reconciliation, check_schema
from quintet.ingest.inbox import list_inbox
from quintet.ingest.load import load_files
from quintet.ingest.raw_tables import prepare
from quintet.warehouse.database import open_warehouse
from tests.command import Python
from tests.digest import table_digest

CONVERSIONS = DATASETS["conversions"]
FILES = 40
KILLS = 8

LOADER = """
import datetime as dt, sys
from pathlib import Path
from quintet.domains import DATASETS
from quintet.ingest import load
from quintet.ingest.raw_tables import prepare
from quintet.warehouse.database import open_warehouse
from quintet.ingest.inbox import list_inbox
load._GROUP_FILES = 3  # many transactions, so that a kill falls between and into them
dataset = DATASETS["conversions"]
log = lambda line: print(line, flush=True)
log("ready")
with open_warehouse(Path(sys.argv[2]), memory_limit="500MB", threads=2, lock_wait_seconds=60) as connection:
    prepare(connection, [dataset])
    load.load_files(connection, dataset, list_inbox(Path(sys.argv[1]), dataset.name), dt.datetime(2024, 6, 1), log)
"""


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build an inbox of many files: valid, with broken rows, packed, in another encoding, doubled, unreadable."""
    folder = tmp_path_factory.mktemp("inbox")
    inbox = folder / "conversions"
    inbox.mkdir()
    header = ";".join(CONVERSIONS.columns) + "\n"
    for number in range(FILES):
        text = "".join(
            f"{number * 10_000 + row};s{row};Côte d'Ivoire;true;b;2024-05-01 10:{row % 60:02}:00;c\n"
            for row in range(3_000)
        )
        if number % 7 == 3:
            text += '5;"never closed;x\n6;s;x;true;b;2024-02-30;c\n7;s;x;true;b;2024-05-01;c\n'
        content = (header + text).encode("cp1252" if number % 11 == 5 else "utf-8")
        if number % 5 == 4:
            (inbox / f"{number:02}.csv.gz").write_bytes(gzip.compress(content, mtime=0))
        else:
            (inbox / f"{number:02}.csv").write_bytes(content)
    (inbox / "90 again.csv").write_bytes((inbox / "00.csv").read_bytes())
    (inbox / "91 unreadable.csv").write_text("nothing,to,see\n")
    return folder


def contents(path: Path) -> dict[str, str]:
    """Return the digest of every table that loading writes."""
    with open_warehouse(path, memory_limit="500MB", threads=2, lock_wait_seconds=0) as connection:
        assert check_schema(connection, CONVERSIONS).passed
        assert check_reconciliation(connection, CONVERSIONS).passed
        tables = ("raw.conversions", "ops.batches", "ops.rejected_rows")
        return {table: table_digest(connection, table) for table in tables}


@pytest.fixture(scope="module")
def undisturbed(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    path = tmp_path_factory.mktemp("undisturbed") / "warehouse.duckdb"
    with open_warehouse(path, memory_limit="500MB", threads=2, lock_wait_seconds=0) as connection:
        prepare(connection, [CONVERSIONS])
        outcomes = load_files(
            connection, CONVERSIONS, list_inbox(raw, "conversions"), dt.datetime(2024, 6, 1), lambda _: None
        )
    assert len(outcomes) == FILES + 2
    assert sum(outcome.rejected for outcome in outcomes) == 12
    return contents(path)


def start_loader(raw: Path, path: Path) -> Python:
    """Start a loader in its own process, just before it opens the warehouse."""
    loader = Python(["-c", LOADER, str(raw), str(path)], os.environ)
    assert loader.stdout.readline() == "ready\n"
    return loader


def finish(loader: Python) -> str:
    printed = loader.finish()
    assert loader.returncode == 0, printed
    return printed


def test_kills_at_random_moments_leave_no_trace(raw: Path, undisturbed: dict[str, str], tmp_path: Path):
    path = tmp_path / "warehouse.duckdb"
    chance = random.Random(20240601)
    died = 0
    for _ in range(KILLS):
        loader = start_loader(raw, path)
        time.sleep(chance.uniform(0, 0.6))
        loader.kill()
        loader.finish()
        died += loader.returncode == -9

    finish(start_loader(raw, path))

    assert died > 0
    assert contents(path) == undisturbed


def test_a_kill_right_after_a_transaction_keeps_it(raw: Path, undisturbed: dict[str, str], tmp_path: Path):
    path = tmp_path / "warehouse.duckdb"
    loader = start_loader(raw, path)
    assert loader.stdout.readline() == "conversions: 3 of 40 new files\n"
    loader.kill()
    loader.finish()
    with open_warehouse(path, memory_limit="500MB", threads=2, lock_wait_seconds=0) as connection:
        ((kept,),) = connection.execute("select count(*) from ops.batches where status = 'loaded'").fetchall()
    assert kept >= 3

    printed = finish(start_loader(raw, path))

    assert f"of {FILES - kept} new files" in printed
    assert contents(path) == undisturbed


def test_two_loaders_at_once_load_each_file_once(raw: Path, undisturbed: dict[str, str], tmp_path: Path):
    path = tmp_path / "warehouse.duckdb"

    printed = [finish(loader) for loader in [start_loader(raw, path) for _ in range(2)]]

    assert sorted("of 40 new files" in one for one in printed) == [False, True]
    assert contents(path) == undisturbed
