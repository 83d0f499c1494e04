"""Loading, modelling and publishing, each beside what it is held against.

`make bench NAME=ingest` takes about ten minutes and 8 GB of disk in the temporary folder; `python -m bench.ingest
--quick` takes a tenth of the rows and leaves out the 2 GB file.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from bench.measure import Line, in_turns, median_ratio, print_lines, run_and_watch
from quintet.conversions.spellings import resolve_new_spellings
from quintet.datasets import DATASETS
from quintet.samples.conversions import BrokerWorld, ClicksWorld, make_sample
from quintet.samples.write import write_inboxes
from quintet.warehouse.database import open_warehouse, prepare
from quintet.warehouse.inbox import list_inbox
from quintet.warehouse.ledger import loaded_batches, mark_modelled
from quintet.warehouse.load import load_files
from quintet.warehouse.publish import publish

_PROJECT = Path(__file__).parents[1]
_NOW = dt.datetime(2026, 1, 1)
_MEMORY_LIMIT = "800MB"
_CONVERSIONS = DATASETS["conversions"]


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


def _load_anew(raw: Path, warehouse: Path) -> None:
    warehouse.unlink(missing_ok=True)
    load_inbox(raw, warehouse)


def _read_csv_anew(file: Path, database: Path) -> None:
    """The comparator: DuckDB reads the file into a table of text, and checks nothing."""
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


def measure_loading(work: Path, file: Path, rows: int) -> list[Line]:
    """The rate of loading one file, and what it costs to have the same rows in many files."""
    one, many = work / "one", work / "many"
    (one / "conversions").mkdir(parents=True)
    shutil.copy(file, one / "conversions" / "conversions.csv")
    _split(file, many / "conversions", rows_each=max(rows // 1_000, 1))
    seconds = in_turns(
        {
            "read_csv": lambda: _read_csv_anew(file, work / "comparator.duckdb"),
            "one": lambda: _load_anew(one, work / "one.duckdb"),
            "many": lambda: _load_anew(many, work / "many.duckdb"),
        },
        rounds=5,
    )
    rate = median_ratio(seconds["read_csv"], seconds["one"])
    cost = median_ratio(seconds["many"], seconds["one"])
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    return [
        Line("read_csv(all_varchar) into a table, no checks", f"{rows / medians['read_csv']:,.0f} rows/s", "", True),
        Line(
            "load: hash, provenance, contract",
            f"{rows / medians['one']:,.0f} rows/s, {rate:.2f} of read_csv",
            "at least 0.5 of read_csv",
            rate >= 0.5,
        ),
        Line("the same rows in 1,000 files", f"{cost:.2f} x one file", "at most 3 x", cost <= 3),
    ]


def measure_memory(work: Path, file: Path) -> Line:
    """The peak memory of loading a file of 2 GB in a process of its own."""
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
    """Run the models of the conversions domain; the seconds that dbt says they took in sum."""
    with _warehouse(warehouse) as connection:
        resolve_new_spellings(connection, anew=full)
        batches = loaded_batches(connection)
    arguments = ["run", "--quiet", "--select", "tag:conversions", "--target-path", str(target)]
    subprocess.run(
        [str(Path(sys.executable).with_name("dbt")), *arguments, *(["--full-refresh"] if full else [])],
        cwd=_PROJECT / "dbt_project",
        env={**os.environ, "QUINTET_WAREHOUSE": str(warehouse), "QUINTET_MEMORY_LIMIT": _MEMORY_LIMIT},
        check=True,
    )
    with _warehouse(warehouse) as connection:
        mark_modelled(connection, batches, _NOW)
    results = json.loads((target / "run_results.json").read_text("utf-8"))["results"]
    return sum(result["execution_time"] for result in results)


def measure_models(work: Path, scale: float) -> list[Line]:
    """What a batch of 1% new rows costs beside the full build, and what publishing costs.

    Three million conversions: dbt itself takes 0.1 s a model, which at one million is a seventh of the full build.
    """
    raw, warehouse = work / "models", work / "models.duckdb"
    clicks = ClicksWorld(clicks=round(3_000_000 * scale))
    write_inboxes([make_sample(clicks, [BrokerWorld()], seed=7)], raw)
    later = work / "later"
    small = ClicksWorld(clicks=round(30_000 * scale), first_day=dt.date(2024, 6, 1))
    write_inboxes([make_sample(small, [BrokerWorld(partner="later")], seed=8)], later)
    source_bytes = sum(path.stat().st_size for path in raw.rglob("*.csv"))
    load_inbox(raw, warehouse)
    full = _model_seconds(warehouse, work / "target", full=True)
    published = _publish_seconds(work, warehouse)
    shift = 1_000_000_000  # above every id of the first files
    _add_later_files(later, raw, shift)
    load_inbox(raw, warehouse)
    batch = _model_seconds(warehouse, work / "target", full=False)
    per_gb = published / (source_bytes / 1e9)
    return [
        Line(f"models, full build of {clicks.clicks:,} conversions", f"{full:.1f} s", "", True),
        Line(
            "models, a batch of 1% new rows",
            f"{batch:.2f} s, {batch / full:.1%} of the full build",
            "at most 10%",
            batch <= 0.1 * full,
        ),
        Line(
            "publish",
            f"{published:.2f} s, {per_gb:.1f} s per GB of source files",
            "at most 5 s per GB",
            per_gb <= 5,
        ),
    ]


def _add_later_files(later: Path, raw: Path, shift: int) -> None:
    """Bring the later files into the inboxes, their conversions under ids that the first ones do not use."""
    with duckdb.connect() as connection:
        for path in later.glob("conversions/*.csv"):
            connection.execute(
                f"copy (select * replace (id::bigint + {shift} as id) from read_csv('{path}', all_varchar = true)) "
                f"to '{raw / 'conversions' / ('later_' + path.name)}' (header, delimiter ';')"
            )
    for path in later.glob("broker_rows/*.csv"):
        shutil.copy(path, raw / "broker_rows")


def _publish_seconds(work: Path, warehouse: Path) -> float:
    seconds = []
    for number in range(3):
        with _warehouse(warehouse) as connection:
            timed = in_turns(
                {
                    "publish": lambda connection=connection, number=number: publish(
                        connection,
                        work / "serving",
                        snapshot_id=str(number),
                        fingerprint="",
                        published_at=_NOW,
                        kept=1,
                    )
                },
                rounds=1,
            )
        seconds += timed["publish"]
    return statistics.median(seconds)


def measure_run(work: Path) -> Line:
    """A run over the committed samples into an empty home, install excluded."""
    home = work / "home"
    (home / "dagster").mkdir(parents=True)
    shutil.copy(_PROJECT / "dagster.yaml", home / "dagster")
    environment = {
        "QUINTET_HOME": str(home),
        "QUINTET_RAW": str(_PROJECT / "data" / "raw"),
        "DAGSTER_HOME": str(home / "dagster"),
    }
    seconds, peak_mb = run_and_watch(["-m", "cli.run"], environment)
    return Line("run over the samples", f"{seconds:.0f} s, {peak_mb:,.0f} MB at most", "at most 90 s", seconds <= 90)


def main() -> int:
    """Measure and print; 0 if all limits hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, without the 2 GB file")
    quick = parser.parse_args().quick
    scale = 0.1 if quick else 1.0
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        rows = round(1_000_000 * scale)
        write_inboxes([make_sample(ClicksWorld(clicks=rows), [], seed=7)], work / "generated")
        (file,) = (work / "generated" / "conversions").glob("*.csv")
        lines = measure_loading(work, file, rows)
        if not quick:
            lines.append(measure_memory(work, file))
        lines += measure_models(work, scale)
        lines.append(measure_run(work))
    return print_lines("Loading, modelling, publishing", lines)


if __name__ == "__main__":
    sys.exit(main())
