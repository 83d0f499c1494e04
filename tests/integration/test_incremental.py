"""The marts do not depend on how files arrive: splits, orders, re-sends, kills and two runs at once.

Each test runs the product in separate processes and compares a canonical hash over every mart with the hash of one
undisturbed run.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import random
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from quintet.lending.inbox import INBOX
from quintet.warehouse.snapshot import open_snapshot
from tests.command import Command
from tests.conftest import Quintet
from tests.digest import ARRIVAL_COLUMNS, schema_digests

# the origin of a row differs between a file and its parts; its content must not
_PROVENANCE = {
    *("_batch_id", "_source_file", "_source_row", "broker_source_file", "broker_source_row"),
    *("kept_batch_id", "kept_file", "kept_row"),
}
_ABOUT_FILES = ("ops_batches", "ops_rejected_rows", "snapshot")
_PARTS = 3
_RUNS = 2
_MOST_STEPS_BEFORE_A_KILL = 15  # of some thirty that a run has
# what makes rows belong together: the columns of the key, by position; all columns where there is no key
_KEY_COLUMNS = {
    "agency_performance": (0, 2, 4, 5),
    "promo_users": (0,),
    "promo_codes": (0,),
    "promo_usages": (0, 1, 2),
    "conversions": (0,),
    "page_categories": (1,),
    "transactions": (0, 1),
}
_DELIMITERS = {"conversions": ";", "page_categories": ";"}


def marts(quintet: Quintet) -> dict[str, str]:
    """Return the digest of every mart over the content of its rows."""
    with open_snapshot(quintet.snapshot) as snapshot:
        digests = schema_digests(snapshot, "marts", exclude=ARRIVAL_COLUMNS | _PROVENANCE)
    return {table: digest for table, digest in digests.items() if table not in _ABOUT_FILES}


def split(path: Path, dataset: str) -> dict[str, str]:
    """Split the file into three files, rows of one key together; the names keep the day or number of the whole."""
    header, *lines = path.read_text("utf-8").splitlines(keepends=True)
    parts: list[list[str]] = [[] for _ in range(_PARTS)]
    for line in lines:
        cells = line.rstrip("\r\n").split(_DELIMITERS.get(dataset, ","))
        key = [cells[position] for position in _KEY_COLUMNS.get(dataset, range(len(cells)))]
        parts[int(hashlib.md5("|".join(key).encode()).hexdigest(), 16) % _PARTS].append(line)
    return {f"part{number}_of_{path.name}": "".join([header, *part]) for number, part in enumerate(parts)}


def batches_of(raw: Path) -> list[tuple[str, str, str]]:
    """Return (dataset, file name, text) of all sample files in parts; a checkout file of one day stays whole."""
    batches = []
    for path in sorted(raw.glob("*/*.csv")):
        dataset = path.parent.name
        texts = {path.name: path.read_text("utf-8")} if dataset == "checkout_sales" else split(path, dataset)
        batches += [(dataset, name, text) for name, text in texts.items()]
    return batches


def kill_after_steps(process: Command, steps: int) -> None:
    """Kill a run once it has printed this number of steps, each a line that ends with its seconds."""
    lines = (line for line in process.stdout if line.endswith(" s)\n"))
    seen = list(itertools.islice(lines, steps))
    process.kill()
    process.finish()
    assert (len(seen), process.returncode) == (steps, -signal.SIGKILL)


@dataclass(frozen=True)
class Disturbed:
    """A home with all rows of the samples, and the outputs of the two runs that were started at once."""

    quintet: Quintet
    printed: tuple[str, ...]


@pytest.fixture(scope="module")
def disturbed(built: Quintet, tmp_path_factory: pytest.TempPathFactory, random_seed: int) -> Disturbed:
    """Build from files in parts, in any order, some of them sent again, in two batches.

    The first run of each batch, that on the empty home too, is killed at a random moment; at last two begin at once.
    """
    chance = random.Random(random_seed)
    folder = tmp_path_factory.mktemp("disturbed")
    quintet = Quintet(folder / "raw", folder / "home")
    batches = batches_of(built.raw)
    chance.shuffle(batches)
    shutil.copytree(built.raw / INBOX, quintet.raw / INBOX)  # a dump counts as a whole
    for run in range(_RUNS):
        for number, (dataset, name, text) in enumerate(batches):
            inbox = quintet.raw / dataset
            inbox.mkdir(parents=True, exist_ok=True)
            if number % _RUNS == run:
                (inbox / name).write_bytes(text.encode())
            elif number % _RUNS == run - 1 and dataset != "checkout_sales" and chance.random() < 0.3:
                (inbox / f"again_{name}.gz").write_bytes(gzip.compress(text.encode()))
        kill_after_steps(quintet.start(), chance.randint(1, _MOST_STEPS_BEFORE_A_KILL))
        processes = [quintet.start() for _ in range(run + 1)]
        printed = tuple(process.finish() for process in processes)
        assert [process.returncode for process in processes] == [0] * len(processes), printed
    return Disturbed(quintet, printed)


def test_any_split_order_and_resend_with_kills_at_random_moments_gives_the_same_marts(
    built: Quintet, disturbed: Disturbed
) -> None:
    assert marts(disturbed.quintet) == marts(built)


def test_of_two_runs_at_once_one_waits_and_finds_its_work_done(disturbed: Disturbed) -> None:
    assert any("another run is in progress" in text for text in disturbed.printed)
    assert any("everything is up to date" in text for text in disturbed.printed)


def test_a_changed_cell_changes_the_hash(built: Quintet, tmp_path: Path) -> None:
    copy = Quintet(tmp_path / "raw", tmp_path / "home")
    shutil.copytree(built.home / "serving", copy.home / "serving", symlinks=True)
    with duckdb.connect(str(copy.snapshot)) as snapshot:
        snapshot.execute(
            "update marts.fct_conversions set is_mobile = not is_mobile where conversion_id = "
            "(select min(conversion_id) from marts.fct_conversions)"
        )
    changed, unchanged = marts(copy), marts(built)
    assert changed.keys() == unchanged.keys()
    assert {table for table in changed if changed[table] != unchanged[table]} == {"fct_conversions"}


def test_a_second_run_reports_that_nothing_is_new(built: Quintet) -> None:
    before = built.snapshot
    assert "nothing new: everything is up to date" in built.run()
    assert built.snapshot == before


@dataclass(frozen=True)
class Contradicted:
    """A home whose second batch contradicts the first and has an unreadable file, and the output of its run."""

    quintet: Quintet
    printed: str

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with open_snapshot(self.quintet.snapshot) as snapshot:
            return snapshot.execute(query).fetchall()


@pytest.fixture(scope="module")
def contradicted(
    built: Quintet,  # noqa: ARG001  # models that depend on the code alone are taken from there
    tmp_path_factory: pytest.TempPathFactory,
) -> Contradicted:
    folder = tmp_path_factory.mktemp("contradicted")
    quintet = Quintet(folder / "raw", folder / "home")
    pages, broker = quintet.raw / "page_categories", quintet.raw / "broker_rows"
    pages.mkdir(parents=True)
    broker.mkdir()
    header = "page_category;measurement_category\n"
    (pages / "pages_2024-02-01.csv").write_text(header + "Later name;01code\nOnly here;02code\n")
    broker_header = "timestamp,country_residency,ip_country,important_score\n"
    row, other = "1713716146,,Slovenia,0\n", "1713716155,,France,0\n"
    (broker / "first.csv").write_text(broker_header + row * 2 + other)
    quintet.run("--select", "conversions")
    (pages / "pages_2024-01-01.csv").write_text(header + "Earlier name;01code\n")
    (broker / "second.csv").write_text(broker_header + row * 3 + "yesterday,,Slovenia,0\n")
    (broker / "unreadable.csv").write_text("nothing,to,see\n")
    return Contradicted(quintet, quintet.run("--select", "conversions", status=0))


def test_the_later_date_in_a_name_wins_whatever_the_order_and_of_broker_files_the_larger_count(
    contradicted: Contradicted,
) -> None:
    assert "files contradict each other on 1 key;" in contradicted.printed
    assert "01code (from pages_2024-02-01.csv)" in contradicted.printed.replace("measurement_category ", "")
    counts = contradicted.rows("select ip_iso2, count(*) from marts.fct_broker_rows group by all order by all")
    assert counts == [("FR", 1), ("SI", 3)]


def test_a_rejected_file_or_row_is_named_and_does_not_change_the_exit_status(contradicted: Contradicted) -> None:
    """The fixture asserts that the run ended with 0; `test_source.py` has a run that cannot build and ends with 1."""
    assert "done in " in contradicted.printed
    assert "broker_rows: file not read: unreadable.csv lacks the required column" in contradicted.printed
    assert "broker_rows: 1 row of second.csv quarantined in marts.ops_rejected_rows" in contradicted.printed
    batches = contradicted.rows(
        "select file, status, rows, loaded, rejected from marts.ops_batches where dataset = 'broker_rows' order by file"
    )
    assert batches == [
        ("first.csv", "loaded", 3, 3, 0),
        ("second.csv", "loaded", 4, 3, 1),
        ("unreadable.csv", "rejected", 0, 0, 0),
    ]
