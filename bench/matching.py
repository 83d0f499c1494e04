"""Matching at scale beside Splink 5.0.0 and DuckDB's ASOF join, on generated worlds with known truth.

Splink runs in a separate environment (its one-to-one clustering needs DuckDB 1.5.6). The largest world, which only
Quintet matches, is ten copies of the world with 2,000,000 conversions, one after another in time. Each contestant runs
in a separate process over the same Parquet files. Splink and the ASOF join get the clock's offset; matching has to
estimate it.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd

from bench.comparators import comparator
from bench.measure import Line, MissingError, options, print_lines, run, run_and_watch
from quintet.conversions.candidates import MatchInput
from quintet.conversions.countries import canonicalise
from quintet.conversions.fit import fit
from quintet.conversions.match import match
from quintet.conversions.matching_model import MatchingModel
from quintet.samples.conversions import BrokerWorld, sample_of
from quintet.samples.conversions_site import ConversionsWorld

USUALLY = "20 minutes"

_OFFSET_SECONDS = 7_200
_CONVERSIONS_PER_DAY = 333
# Enough memory for the largest world.
_CONFIG: dict[str, str | bool | int | float | list[str]] = {"threads": 2, "memory_limit": "2GB"}
_ASOF, _SPLINK = (str(Path(__file__).with_name(f"matching_{name}.py")) for name in ("asof", "splink"))
_DATA = MatchInput("conversions", "broker_rows")


def write_world(folder: Path, conversions: int, seed: int) -> None:
    """Write conversions.parquet and rows.parquet: lognormal lag, a clock two hours ahead, misspelt countries."""
    days = max(conversions // _CONVERSIONS_PER_DAY, 30)
    broker = BrokerWorld(
        opens_after_days=0,
        closes_after_days=days,
        organic_share=0.1,
        lag_model="lognormal",
        clock_offset_seconds=_OFFSET_SECONDS,
        misspelt_share=0.3,
        repeated_share=0,
    )
    sample = sample_of(ConversionsWorld(conversions=conversions, days=days, countries=60), [broker], seed)
    files = {file.dataset: file.rows for file in sample.files}
    site, rows = files["conversions"], files["broker_rows"]
    spellings = pd.concat([site["country_name"], rows["country_residency"], rows["ip_country"]]).dropna().unique()
    countries = canonicalise(spellings.tolist()).set_index("spelling")["country_iso2"]
    site["country_iso2"] = site["country_name"].map(countries)
    rows["residency_iso2"], rows["ip_iso2"] = (
        rows["country_residency"].map(countries),
        rows["ip_country"].map(countries),
    )
    truth = sample.truth["broker_rows"]["conversion_id"].astype("Int64")
    with duckdb.connect() as connection:
        connection.register("site", site[["id", "country_iso2", "created_at"]].drop_duplicates("id"))
        connection.register(
            "broker_rows", rows[["timestamp", "residency_iso2", "ip_iso2"]].assign(link=truth).reset_index()
        )
        connection.execute(
            "copy (select id as unique_id, epoch(created_at)::bigint as at_second, country_iso2 as country from site) "
            f"to '{folder / 'conversions.parquet'}'"
        )
        connection.execute(
            f"copy (select 'b' || index as unique_id, timestamp - {_OFFSET_SECONDS} as at_second, ip_iso2 as country, "
            f"residency_iso2 as residency, link::bigint as link from broker_rows) to '{folder / 'rows.parquet'}'"
        )


def write_copies(world: Path, folder: Path, copies: int, days: int) -> None:
    """Write `copies` of a world, each `days` later than the previous one, with new ids."""
    with duckdb.connect() as connection:
        apart = f"select max(unique_id) + 1 from '{world / 'conversions.parquet'}'"
        [(ids,)] = connection.execute(apart).fetchall()
        numbers = f"range({copies}) as copies(number)"
        later = f"at_second + number * {days * 86_400} as at_second"
        connection.execute(
            f"copy (select * exclude (number) replace (unique_id + number * {ids} as unique_id, {later}) "
            f"from '{world / 'conversions.parquet'}', {numbers}) to '{folder / 'conversions.parquet'}'"
        )
        connection.execute(
            f"copy (select * exclude (number) replace (unique_id || '-' || number as unique_id, {later}, "
            f"link + number * {ids} as link) from '{world / 'rows.parquet'}', {numbers}) to '{folder / 'rows.parquet'}'"
        )


def run_matching(folder: Path) -> None:
    """Train a model, match, and write result.parquet."""
    with duckdb.connect(str(folder / "work.duckdb"), config=_CONFIG) as connection:
        connection.execute(
            "create view conversions as select unique_id as conversion_id, country as country_iso2, "
            f"make_timestamp(at_second * 1000000) as created_at from '{folder / 'conversions.parquet'}'"
        )
        connection.execute(
            "create view broker_rows as select unique_id as broker_row_id, 'one' as partner, "
            f"make_timestamp((at_second + {_OFFSET_SECONDS}) * 1000000) as broker_at, residency as residency_iso2, "
            f"country as ip_iso2 from '{folder / 'rows.parquet'}'"
        )
        model = fit(connection, _DATA)
        (folder / "model.json").write_text(model.to_json(), "utf-8")
        match(connection, _DATA, model)
        connection.execute(
            "copy (select conversion_id as conversion, broker_row_id as broker_row from matching.matches "
            f"where tier = 'matched') to '{folder / 'result.parquet'}'"
        )


def run_late_batch(folder: Path) -> None:
    """Print the seconds to update the matches when the broker rows of 1% of the days arrive late."""
    with duckdb.connect(str(folder / "work.duckdb"), config=_CONFIG) as connection:
        model = MatchingModel.from_json((folder / "model.json").read_text("utf-8"))
        [(first, last)] = connection.execute(
            "select min(broker_at)::date, max(broker_at)::date from broker_rows"
        ).fetchall()
        middle = first + (last - first) / 2
        late = f"broker_at >= '{middle}' and broker_at < '{middle + (last - first) / 100}'"
        match(connection, MatchInput("conversions", f"(select * from broker_rows where not ({late}))"), model)
        began = time.perf_counter()
        match(connection, _DATA, model)
        print(time.perf_counter() - began)


_CALL = "import sys; from pathlib import Path; from bench.matching import {0}; {0}(Path(sys.argv[1]))"


@dataclass(frozen=True)
class Run:
    """The time, memory and F1 of a contestant."""

    seconds: float
    peak_mb: float
    f1: float

    def in_words(self) -> str:
        """Return the figures as text."""
        return f"F1 {self.f1:.3f}, {self.seconds:.1f} s, {self.peak_mb:,.0f} MB"


def _run_matching(folder: Path) -> Run:
    return _scored(folder, *run_and_watch(["-c", _CALL.format("run_matching"), str(folder)]))


def _run_other(folder: Path, script: str, python: str = sys.executable) -> Run:
    files = [str(folder / name) for name in ("conversions.parquet", "rows.parquet", "result.parquet")]
    return _scored(folder, *run_and_watch([script, *files], python=python))


def _scored(folder: Path, seconds: float, peak_mb: float) -> Run:
    with duckdb.connect() as connection:
        [(matched, right)] = connection.execute(
            f"select count(*), count(*) filter (where link = conversion) from '{folder / 'result.parquet'}' as found "
            f"join '{folder / 'rows.parquet'}' as broker_rows on broker_rows.unique_id = found.broker_row"
        ).fetchall()
        [(links,)] = connection.execute(f"select count(link) from '{folder / 'rows.parquet'}'").fetchall()
    return Run(seconds, peak_mb, 2 * right / (matched + links))


def _splink() -> tuple[str, str]:
    """Return the Python that has Splink, or an empty text and the reason."""
    try:
        return str(comparator("splink") / "python"), ""
    except MissingError as missing:
        return "", str(missing)


def measure(work: Path, *, quick: bool) -> list[Line]:
    """Run all contestants at all sizes, and measure how the time of matching grows."""
    sizes = (1_000, 5_000) if quick else (20_000, 200_000, 2_000_000)
    python, why_not = _splink()
    lines: list[Line] = []
    ours: dict[int, Run] = {}
    theirs: Run | None = None
    for conversions in sizes:
        folder = work / str(conversions)
        folder.mkdir()
        write_world(folder, conversions, seed=3)
        ours[conversions] = _run_matching(folder)
        if quick and conversions != sizes[-1]:  # the smallest size is only for the exponent
            continue
        join = _run_other(folder, _ASOF)
        theirs = _run_other(folder, _SPLINK, python) if python else None
        lines += _beside(conversions, ours[conversions], theirs, join, why_not)
    largest = sizes[-1]
    if theirs is not None:
        faster, memory = theirs.seconds / ours[largest].seconds, ours[largest].peak_mb / theirs.peak_mb
        lines.append(Line(f"speed, {largest:,}", f"{faster:.1f} x Splink", "at least 3 x", faster >= 3))
        lines.append(Line(f"memory, {largest:,}", f"{memory:.2f} x Splink", "at most 0.5 x", memory <= 0.5))
    exponent = math.log(ours[largest].seconds / ours[sizes[0]].seconds) / math.log(largest / sizes[0])
    lines.append(Line("time grows with exponent", f"{exponent:.2f}", "at most 1.05", exponent <= 1.05))
    late = run([sys.executable, "-c", _CALL.format("run_late_batch"), str(work / str(largest))])
    share = float(late.splitlines()[-1]) / ours[largest].seconds
    lines.append(Line("a late batch on 1% of the days", f"{share:.1%} of all", "at most 5%", share <= 0.05))
    if not quick:
        tenfold = work / "tenfold"
        tenfold.mkdir()
        write_copies(work / str(largest), tenfold, 10, largest // _CONVERSIONS_PER_DAY)
        last = _run_matching(tenfold)
        lines.append(Line(f"matching, {10 * largest:,}", last.in_words(), "below 8,000 MB", last.peak_mb < 8_000))
    return lines


def _beside(conversions: int, ours: Run, splink: Run | None, join: Run, why_not: str) -> list[Line]:
    """Return the lines of one size: matching beside Splink, if installed, and beside the ASOF join."""
    beside_splink = f"Splink 5.0.0: {splink.in_words()}" if splink else why_not
    return [
        Line(
            f"matching, {conversions:,}",
            ours.in_words(),
            "F1 above Splink's",
            splink is None or ours.f1 > splink.f1,
            beside_splink,
        ),
        Line(
            f"F1 above the ASOF join, {conversions:,}",
            f"{ours.f1 - join.f1:+.3f}",
            "above 0",
            ours.f1 > join.f1,
            f"ASOF join: {join.in_words()}",
            is_exact=True,
        ),
    ]


def beside_splink(folder: Path, conversions: int) -> list[Line]:
    """Return the lines of one size, measured in `folder`."""
    write_world(folder, conversions, seed=3)
    ours, join = _run_matching(folder), _run_other(folder, _ASOF)
    python, why_not = _splink()
    return _beside(conversions, ours, _run_other(folder, _SPLINK, python) if python else None, join, why_not)


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and return the exit status."""
    quick = options("matching", __doc__).parse_args(arguments).quick
    with tempfile.TemporaryDirectory() as folder:
        lines = measure(Path(folder), quick=quick)
    return print_lines("Matching", lines)
