"""Load, model and publish files, each beside its comparator.

It needs 8 GB of disk in the temporary folder. A quick run uses a few thousand rows, skips the file of 2 GB, and runs
over the samples in a copy of a built home.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from bench.measure import PROJECT, Line, MissingError, in_turns, median_ratio, options, print_lines, run, run_and_watch
from bench.serve import add_home, run_environment
from quintet.conversions.spellings import resolve_new_spellings
from quintet.domains import DATASETS
from quintet.ingest.batches import loaded_batches, mark_modelled
from quintet.ingest.inbox import list_inbox
from quintet.ingest.load import load_files
from quintet.ingest.raw_tables import prepare
from quintet.samples.conversions import BrokerWorld, sample_of
from quintet.samples.conversions_site import ConversionsWorld
from quintet.samples.write import write_inboxes
from quintet.warehouse.database import open_warehouse
from quintet.warehouse.publish import publish
from resources.warm_dbt import CALL_DBT, SERVER, WarmDbt, warehouse_variables

USUALLY = "10 minutes"

_DBT_PROJECT = PROJECT / "dbt_project"
_NOW = dt.datetime(2026, 1, 1)
_MEMORY_LIMIT = "800MB"
_RESULTS = "tag:results"
_ABOVE_ALL_IDS = 1_000_000_000  # larger than the ids of the first files


@dataclass(frozen=True)
class Size:
    """The size of a measurement: rows to load, rounds, files for these rows, conversions to model, publications."""

    rows: int
    rounds: int
    files: int
    conversions: int
    publications: int


# Three million conversions: dbt itself takes 0.1 s a model, which at one million is a seventh of the full build.
_FULL, _QUICK = Size(1_000_000, 5, 1_000, 3_000_000, 3), Size(5_000, 1, 10, 2_000, 1)


@contextmanager
def _warehouse(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_warehouse(path, memory_limit=_MEMORY_LIMIT, threads=2, lock_wait_seconds=60) as connection:
        prepare(connection, DATASETS.values())
        yield connection


def load_inbox(raw: Path, warehouse: Path) -> None:
    """Load all inboxes into a warehouse that may be new."""
    with _warehouse(warehouse) as connection:
        for dataset in DATASETS.values():
            load_files(connection, dataset, list_inbox(raw, dataset.name), _NOW, lambda _: None)


def _load_again(raw: Path, warehouse: Path) -> None:
    warehouse.unlink(missing_ok=True)
    load_inbox(raw, warehouse)


def _read_csv(file: Path, database: Path) -> None:
    """Read the file with DuckDB alone into a table of text, without checks: the comparator."""
    database.unlink(missing_ok=True)
    with duckdb.connect(str(database), config={"threads": 2, "memory_limit": _MEMORY_LIMIT}) as connection:
        connection.execute("create table rows as select * from read_csv(?, all_varchar = true)", [str(file)])


def _split(file: Path, folder: Path, rows_each: int) -> None:
    folder.mkdir(parents=True)
    with file.open(encoding="utf-8", newline="") as whole:
        header, part, number = next(whole), [], 0
        for line in whole:
            part.append(line)
            if len(part) == rows_each:
                (folder / f"part_{number:04}.csv").write_text(header + "".join(part), "utf-8", newline="")
                part, number = [], number + 1
    if part:
        (folder / f"part_{number:04}.csv").write_text(header + "".join(part), "utf-8", newline="")


def measure_loading(work: Path, file: Path, size: Size) -> list[Line]:
    """Time loading one file, and the same rows in many files."""
    one, many, rows = work / "one", work / "many", size.rows
    (one / "conversions").mkdir(parents=True)
    shutil.copy(file, one / "conversions" / "conversions.csv")
    _split(file, many / "conversions", rows_each=max(rows // size.files, 1))
    seconds = in_turns(
        {
            "read_csv": lambda: _read_csv(file, work / "comparator.duckdb"),
            "one": lambda: _load_again(one, work / "one.duckdb"),
            "many": lambda: _load_again(many, work / "many.duckdb"),
        },
        size.rounds,
    )
    rate = median_ratio(seconds["read_csv"], seconds["one"])
    cost = median_ratio(seconds["many"], seconds["one"])
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    return [
        Line(
            f"load {rows:,} rows: hash, provenance, contract",
            f"{rows / medians['one']:,.0f} rows/s, {rate:.2f} of read_csv",
            "at least 0.5 of read_csv",
            rate >= 0.5,
            f"read_csv(all_varchar) into a table, no checks: {rows / medians['read_csv']:,.0f} rows/s",
        ),
        Line(
            f"the same rows in {size.files:,} files",
            f"{medians['many']:.1f} s, {cost:.2f} x one file",
            "at most 3 x",
            cost <= 3,
            f"one file: {medians['one']:.1f} s",
        ),
    ]


def measure_memory(work: Path, file: Path) -> Line:
    """Measure the peak memory of loading a file of 2 GB in a process of its own."""
    folder = work / "large" / "conversions"
    folder.mkdir(parents=True)
    header, body = file.read_bytes().split(b"\n", 1)
    with (folder / "large.csv").open("wb") as large:
        large.write(header + b"\n")
        while large.tell() < 2_000_000_000:
            large.write(body)
    code = (
        "import sys; from pathlib import Path; from bench.ingest import load_inbox; "
        "load_inbox(*map(Path, sys.argv[1:]))"
    )
    seconds, peak_mb = run_and_watch(["-c", code, str(work / "large"), str(work / "large.duckdb")])
    shutil.rmtree(work / "large")
    (work / "large.duckdb").unlink()
    return Line("a file of 2 GB", f"{peak_mb:,.0f} MB at most, {seconds:.0f} s", "under 1,500 MB", peak_mb < 1_500)


def _model_seconds(warehouse: Path, target: Path, *, full: bool) -> float:
    """Build the conversions models that read files; return the total of the seconds that dbt reports for them.

    The models that read matches are small and rebuilt in full each time; `matching` measures the step before them.
    """
    with _warehouse(warehouse) as connection:
        resolve_new_spellings(connection, from_scratch=full)
        batches = loaded_batches(connection)
    arguments = [
        "--select",
        "staging.conversions",
        "intermediate.conversions",
        "marts.conversions",
        "--exclude",
        _RESULTS,
        "--target-path",
        str(target),
    ]
    warm, cold = [sys.executable, *CALL_DBT], [str(Path(sys.executable).with_name("dbt"))]
    run(
        [*(warm if SERVER in os.environ else cold), "run", *arguments, *(["--full-refresh"] if full else [])],
        {**warehouse_variables(_DBT_PROJECT, warehouse, _MEMORY_LIMIT, 2), "DO_NOT_TRACK": "1"},
        _DBT_PROJECT,
    )
    with _warehouse(warehouse) as connection:
        mark_modelled(connection, batches, _NOW)
    results = json.loads((target / "run_results.json").read_text("utf-8"))["results"]
    return sum(float(result["execution_time"]) for result in results)


def measure_models(work: Path, size: Size) -> list[Line]:
    """Time a batch of 1% new rows beside the full build, and publishing beside the copy of a file."""
    raw, warehouse = work / "models", work / "modelled" / "warehouse.duckdb"  # the parsed project has this name in it
    warehouse.parent.mkdir()
    write_inboxes([sample_of(ConversionsWorld(conversions=size.conversions), [BrokerWorld()], seed=7)], raw)
    later = work / "later"
    small = ConversionsWorld(conversions=size.conversions // 100, first_day=dt.date(2024, 6, 1))
    write_inboxes([sample_of(small, [BrokerWorld(partner="later")], seed=8)], later)
    source_gb = sum(path.stat().st_size for path in raw.rglob("*.csv")) / 1e9
    with closing(WarmDbt(_DBT_PROJECT, warehouse_variables(_DBT_PROJECT, warehouse, _MEMORY_LIMIT, 2))):
        load_inbox(raw, warehouse)
        full = _model_seconds(warehouse, work / "target", full=True)
        published, copied = _publish_seconds(work, warehouse, size.publications)
        _add_later_files(later, raw, _ABOVE_ALL_IDS)
        load_inbox(raw, warehouse)
        batch = _model_seconds(warehouse, work / "target", full=False)
    per_gb = published / source_gb
    return [
        Line(
            f"models, a batch of 1% new rows on {size.conversions:,} conversions",
            f"{batch:.2f} s, {batch / full:.1%} of the full build",
            "at most 10%",
            batch <= 0.1 * full,
            f"full build: {full:.1f} s",
        ),
        Line(
            "publish",
            f"{published:.2f} s, {per_gb:.1f} s per GB of source files",
            "at most 5 s per GB",
            per_gb <= 5,
            f"copy of the file alone: {copied:.2f} s",
        ),
    ]


def _add_later_files(later: Path, raw: Path, shift: int) -> None:
    """Copy the later files into the inboxes, with conversion ids that the first files do not use."""
    with duckdb.connect() as connection:
        for path in later.glob("conversions/*.csv"):
            connection.execute(
                f"copy (select * replace (id::bigint + {shift} as id) from read_csv('{path}', all_varchar = true)) "
                f"to '{raw / 'conversions' / ('later_' + path.name)}' (header, delimiter ';')"
            )
    for path in later.glob("broker_rows/*.csv"):
        shutil.copy(path, raw / "broker_rows")


def _publish_seconds(work: Path, warehouse: Path, times: int) -> tuple[float, float]:
    """Return the median seconds of publishing, and of copying what was published."""
    published, copied = [], []
    for number in range(times):
        with _warehouse(warehouse) as connection:
            began = time.perf_counter()
            publish(
                connection,
                work / "serving",
                snapshot_id=str(number),
                fingerprint="",
                published_at=_NOW,
                kept=1,
            )
            published.append(time.perf_counter() - began)
        began = time.perf_counter()
        shutil.copyfile(work / "serving" / "current.duckdb", work / "copy.duckdb")
        copied.append(time.perf_counter() - began)
    return statistics.median(published), statistics.median(copied)


def measure_run(home: Path) -> Line:
    """Time a run over the committed samples into an empty home, install excluded."""
    seconds, peak_mb = run_and_watch(["-m", "cli.run"], run_environment(home, PROJECT / "data" / "raw"))
    return Line("run over the samples", f"{seconds:.0f} s, {peak_mb:,.0f} MB at most", "at most 90 s", seconds <= 90)


def measure_run_again(home: Path) -> Line:
    """Time a run over the same samples into the same home."""
    environment = run_environment(home, PROJECT / "data" / "raw")
    seconds, peak_mb = run_and_watch(["-m", "cli.run"], environment)
    return Line("run again, nothing new", f"{seconds:.1f} s, {peak_mb:,.0f} MB at most", "at most 10 s", seconds <= 10)


def _copy_of_home(built: Path, home: Path) -> None:
    if not (built / "warehouse.duckdb").is_file():
        raise MissingError(
            f"{built} has no warehouse: build one with `make run`, or name a home that has one by --home"
        )
    shutil.copytree(
        built, home, symlinks=True, ignore=shutil.ignore_patterns("raw", "generated*", "postgres", "dagster")
    )


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and return the exit status."""
    parser = options("ingest", __doc__)
    add_home(parser)
    given = parser.parse_args(arguments)
    size = _QUICK if given.quick else _FULL
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        home = work / "home"
        if given.quick:
            _copy_of_home(given.home, home)
        write_inboxes([sample_of(ConversionsWorld(conversions=size.rows), [], seed=7)], work / "generated")
        (file,) = (work / "generated" / "conversions").glob("*.csv")
        lines = measure_loading(work, file, size)
        if not given.quick:
            lines.append(measure_memory(work, file))
        lines += measure_models(work, size)
        if not given.quick:
            lines.append(measure_run(home))
        lines.append(measure_run_again(home))
    return print_lines("Loading, modelling, publishing", lines)
