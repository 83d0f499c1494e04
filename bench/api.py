"""The HTTP service: times of the mart routes, a group-by beside Datasette, and snapshots swapped under load.

It generates the full-size table of agency performance (213,328 rows), serves it, and installs Datasette into a
separate environment. A quick run serves the snapshot of a home that was built from the samples.
"""

from __future__ import annotations

import csv
import itertools
import os
import random
import shutil
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx

from bench.comparators import comparator
from bench.http_load import Load, for_seconds, put_under_load
from bench.measure import PROJECT, BenchError, Line, MissingError, in_turns, median_ratio, options, print_lines
from bench.serve import add_home, build, copy_of_snapshot, served, service
from quintet.embedded.processes import free_port
from quintet.samples.insurance import AgenciesWorld, make_sample
from quintet.samples.write import write_inboxes

USUALLY = "5 minutes"

_ROWS = 213_328
_ROWS_AN_AGENCY = 127  # of the generated world; what is generated beyond `_ROWS` is left out


@dataclass(frozen=True)
class Size:
    """The size of a measurement: seconds under each load, snapshots swapped, turns of the group-by."""

    seconds: float
    swaps: int
    rounds: int


_FULL, _QUICK = Size(15, 100, 15), Size(0.3, 5, 2)

_MEASURES = (
    *("WRTN_PREM_AMT", "NB_WRTN_PREM_AMT", "PREV_WRTN_PREM_AMT", "PRD_ERND_PREM_AMT", "PRD_INCRD_LOSSES_AMT"),
    *("POLY_INFORCE_QTY", "PREV_POLY_INFORCE_QTY", "RETENTION_POLY_QTY"),
)
_RATIOS = (
    ("PRD_INCRD_LOSSES_AMT", "WRTN_PREM_AMT"),
    ("RETENTION_POLY_QTY", "PREV_POLY_INFORCE_QTY"),
    ("WRTN_PREM_AMT", "PREV_WRTN_PREM_AMT"),
)
# The columns of a summary: sums over the rows that have each measure, both sides of each ratio over the rows that have
# both, the rows that lack each measure, rows and agencies. 99999 stands for unknown.
_SAME_QUESTION = (
    "select PROD_LINE, STAT_PROFILE_DATE_YEAR, count(*), count(distinct AGENCY_ID), "
    + ", ".join(f"sum(nullif({name}, 99999)), sum({name} = 99999)" for name in _MEASURES)
    + ", "
    + ", ".join(
        f"sum(case when {other} <> 99999 then nullif({side}, 99999) end)"
        for above, below in _RATIOS
        for side, other in ((above, below), (below, above))
    )
    + " from performance where STAT_PROFILE_DATE_YEAR >= {year} group by 1, 2 order by 1, 2"
)


def _generate(raw: Path) -> Path:
    """Return the full-size inbox file, cut to its number of rows."""
    write_inboxes([make_sample(AgenciesWorld(agencies=round(_ROWS / _ROWS_AN_AGENCY * 1.1)), seed=7)], raw)
    (file,) = (raw / "agency_performance").glob("*.csv")
    with file.open(encoding="utf-8", newline="") as whole:
        lines = list(itertools.islice(whole, _ROWS + 1))
    if len(lines) != _ROWS + 1:
        raise BenchError(f"the generated world has {len(lines) - 1:,} rows, fewer than {_ROWS:,}")
    file.write_text("".join(lines), "utf-8", newline="")
    return file


def _sqlite(file: Path, database: Path) -> int:
    """Write the file as an SQLite table with numbers as numbers, for Datasette; return its number of rows."""
    with file.open(encoding="utf-8", newline="") as text, sqlite3.connect(database) as connection:
        rows = csv.reader(text)
        header = next(rows)
        columns = ", ".join(f'"{name}" numeric' for name in header)
        connection.execute(f"create table performance ({columns})")
        connection.executemany(f"insert into performance values ({', '.join('?' * len(header))})", rows)
        return int(connection.execute("select count(*) from performance").fetchone()[0])


def _mart_paths(count: int) -> list[str]:
    """Return requests to the mart routes, no two alike, so that no response comes from the cache."""
    chance = random.Random(7)
    pivots = ["prod_line", "state", "year", "product", "agency", "vendor"]
    paths = set()
    while len(paths) < count:
        year = chance.randrange(2005, 2014)
        query = {
            "year_from": year,
            "year_to": year + chance.randrange(1, 3),
            "agency": ",".join(str(chance.randrange(1, 2_000)) for _ in range(chance.randrange(1, 60))),
            "page_size": chance.choice([20, 50]),
        }
        if chance.random() < 0.7:
            query["group_by"] = ",".join(chance.sample(pivots, chance.randrange(1, 3)))
            paths.add("/v1/insurance/summary?" + urlencode(query))
        else:
            paths.add("/v1/insurance/performance?" + urlencode(query))
    return sorted(paths, key=lambda _: chance.random())


def _popular(paths: Sequence[str], count: int) -> list[str]:
    """Return requests as readers send them: a few often, most seldom (Zipf's law over a thousand requests)."""
    chance = random.Random(8)
    asked = paths[:1_000]
    return chance.choices(asked, weights=[1 / place for place in range(1, len(asked) + 1)], k=count)


def measure_routes(url: str, headers: Mapping[str, str], seconds: float) -> list[Line]:
    """Measure the mart routes with one and 16 clients, on requests as readers send them and on only new ones."""
    paths = _mart_paths(20_000)
    put_under_load(url, paths[-50:], headers, 1, for_seconds(1))
    alone = put_under_load(url, _popular(paths, 5_000), headers, 1, for_seconds(seconds))
    many = put_under_load(url, _popular(paths, 20_000), headers, 16, for_seconds(seconds))
    new_alone = put_under_load(url, paths[1_000:5_000], headers, 1, for_seconds(seconds))
    new_many = put_under_load(url, paths[5_000:], headers, 16, for_seconds(seconds))
    loads = (alone, many, new_alone, new_many)
    failed = [failure for load in loads for failure in load.failed]

    def in_words(load: Load) -> str:
        times = f"p50 {load.percentile(50):.1f} ms, p99 {load.percentile(99):.1f} ms"
        return f"{times}, {load.per_second:,.0f} requests/s"

    return [
        Line("mart routes, one client", in_words(alone), "p99 at most 50 ms", alone.percentile(99) <= 50),
        Line(
            "mart routes, 16 clients",
            in_words(many),
            "p99 at most 200 ms, at least 300 requests/s",
            many.percentile(99) <= 200 and many.per_second >= 300,
        ),
        Line("the same, every question new, one client", in_words(new_alone), "", True),
        Line("the same, every question new, 16 clients", in_words(new_many), "", True),
        Line("answers that failed", f"{len(failed)} {failed[:1] or ''}", "none", not failed, is_exact=True),
    ]


def _datasette(database: Path, port: int) -> list[str]:
    program = str(comparator("datasette") / "datasette")
    settings = ["--setting", "sql_time_limit_ms", "60000", "--setting", "num_sql_threads", "2"]
    return [program, "serve", str(database), "--port", str(port), *settings]


def measure_group_by(url: str, headers: Mapping[str, str], work: Path, file: Path, rounds: int) -> Line:
    """Time a group-by over the whole table, in the service and in Datasette in turns."""
    years, pages = itertools.cycle(range(2005, 2010)), itertools.count(500)
    client = httpx.Client()

    def ours(year: int) -> list[dict[str, float]]:
        # a new page size, so that the response does not come from the cache
        query = f"group_by=prod_line,year&year_from={year}&page_size={next(pages)}"
        answer = client.get(f"{url}/v1/insurance/summary?{query}", headers=dict(headers))
        items: list[dict[str, float]] = answer.raise_for_status().json()["items"]
        return items

    def line(theirs: Callable[[int], list[dict[str, float]]] | None, why: str = "") -> Line:
        contestants = {"ours": lambda: ours(next(years))}
        if theirs is not None:
            if len(ours(2005)) != len(theirs(2005)):
                raise BenchError("service and Datasette do not answer alike: was the home built from the samples?")
            contestants["theirs"] = lambda: theirs(next(years))
        seconds = in_turns(contestants, rounds)
        medians = {name: statistics.median(times) * 1000 for name, times in seconds.items()}
        ratio = median_ratio(seconds["theirs"], seconds["ours"]) if theirs else 0.0
        return Line(
            f"group-by over {rows:,} rows",
            f"{medians['ours']:.0f} ms" + (f", {ratio:.1f} x as fast as Datasette" if theirs else ""),
            "at least 8 x Datasette",
            ratio >= 8,
            f"Datasette {medians['theirs']:.0f} ms" if theirs else why,
        )

    rows = _sqlite(file, work / "performance.db")
    port = free_port()
    try:
        arguments = _datasette(work / "performance.db", port)
    except MissingError as missing:
        return line(None, str(missing))
    with served(arguments, f"http://127.0.0.1:{port}/-/versions.json", {}):

        def theirs(year: int) -> list[dict[str, float]]:
            sql = _SAME_QUESTION.format(year=year)
            address = f"http://127.0.0.1:{port}/performance.json?_shape=array&_ttl=0&sql={quote(sql)}"
            answer: list[dict[str, float]] = client.get(address).raise_for_status().json()
            return answer

        return line(theirs)


def measure_swaps(url: str, headers: Mapping[str, str], serving: Path, swaps: int) -> Line:
    """Replace and remove snapshots while 16 clients send requests."""
    done = threading.Event()
    source = (serving / "current.duckdb").resolve()

    def swap() -> None:
        try:
            before: list[Path] = []
            for number in range(swaps):
                path = serving / f"swap{number}.duckdb"
                shutil.copyfile(source, path)
                beside = serving / "beside"
                beside.symlink_to(path.name)
                beside.replace(serving / "current.duckdb")
                before.append(path)
                if len(before) > 3:
                    before.pop(0).unlink()
                time.sleep(0.05)
        finally:
            done.set()

    swapper = threading.Thread(target=swap)
    swapper.start()
    load = put_under_load(url, _mart_paths(5_000), headers, 16, done.is_set)
    swapper.join()
    return Line(
        f"{swaps} snapshots swapped under 16 clients",
        f"{len(load.failed)} of {len(load.milliseconds):,} answers failed; p99 {load.percentile(99):.0f} ms",
        "no failed request",
        not load.failed,
        is_exact=True,
    )


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and return the exit status."""
    parser = options("api", __doc__)
    add_home(parser)
    given = parser.parse_args(arguments)
    size = _QUICK if given.quick else _FULL
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if given.quick:
            copy_of_snapshot(given.home, work / "home")
            file = next(Path(os.environ.get("QUINTET_RAW", PROJECT / "data" / "raw")).glob("agency_performance/*.csv"))
        else:
            file = _generate(work / "raw")
            build(work / "home", work / "raw", "insurance")
        with service(work / "home") as (url, headers):
            lines = measure_routes(url, headers, size.seconds)
            lines.append(measure_group_by(url, headers, work, file, size.rounds))
            lines.append(measure_swaps(url, headers, work / "home" / "serving", size.swaps))
    return print_lines("The HTTP service", lines)
