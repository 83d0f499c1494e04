"""The decision records on conversions state the figures of the real files and of the generated worlds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from bench.matching_worlds import WORLDS, Quality, quality
from quintet.warehouse.snapshot import open_snapshot
from tests.conftest import Quintet
from tests.statements import missing

_DECISIONS = Path(__file__).parents[2] / "docs" / "decisions"
_MATCHING = (_DECISIONS / "conversion-matching.md").read_text("utf-8")
_INSIGHTS = (_DECISIONS / "conversion-insights.md").read_text("utf-8")
_FIGURES = 3
_LAST_DIGIT = 0.001

Row = tuple[tuple[int, ...], dict[int, Quality]]


def _worlds(page: str) -> dict[str, Row]:
    """Return the seeds of each world of the page's table, and the figures by seed."""
    found = {}
    for name, *cells in re.findall(r"^\| ([0-9][^|]*?) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", page, re.M):
        seeds, *figures = (cell.split(", ") for cell in cells)
        by_seed = dict(zip(map(int, seeds), zip(*figures, strict=True), strict=True))
        of_seed = {seed: Quality(*map(float, values)) for seed, values in by_seed.items()}
        found[name] = (tuple(of_seed), of_seed)
    return found


def _differs(stated: Quality, measured: Quality) -> list[str]:
    """Return the names of the figures that differ by more than their last digit."""
    return [
        name
        for name, value in vars(measured).items()
        if abs(round(value, _FIGURES) - getattr(stated, name)) > _LAST_DIGIT + 1e-9
    ]


def test_the_table_has_every_world_with_its_seeds() -> None:
    assert {name: seeds for name, (seeds, _) in _worlds(_MATCHING).items()} == {
        name: world.seeds for name, world in WORLDS.items()
    }


@pytest.mark.parametrize("name", ["20,000", "20,000, clock changes midway"])
def test_the_table_states_the_figures_of_a_world(name: str) -> None:
    seed = WORLDS[name].seeds[0]
    assert _differs(_worlds(_MATCHING)[name][1][seed], quality(WORLDS[name], seed)) == []


def test_a_figure_that_no_run_gives_is_found() -> None:
    page = "| 20,000 | 101 | 0.787 | 0.797 | 0.007 |"
    ((seeds, stated),) = _worlds(page).values()
    assert seeds == (101,)
    assert _differs(stated[101], Quality(0.7871, 0.787, 0.0075)) == ["expected_f1"]


@pytest.fixture(scope="module")
def snapshot(real: Quintet) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_snapshot(real.snapshot) as connection:
        yield connection


def of_the_real_files(snapshot: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the statements on the real files, with the figures of a snapshot."""
    ((matched, rows, first, last, review, abroad),) = snapshot.execute("""
        select
            count(*) filter (where tier = 'matched'),
            (select count(*) from marts.fct_broker_rows),
            min(lag_seconds) filter (where tier = 'matched'),
            max(lag_seconds) filter (where tier = 'matched'),
            count(*) filter (where tier = 'review'),
            count(*) filter (where tier = 'review' and country_iso2 is distinct from ip_iso2)
        from marts.fct_conversion_matches
        join marts.fct_conversions using (conversion_id)
        join marts.fct_broker_rows using (broker_source_file, broker_source_row)
    """).fetchall()
    placebo = snapshot.execute("select hours, false_match_rate from ml.matching_placebo order by abs(hours)").fetchall()
    ((f1,),) = snapshot.execute("select value from ml.matching_summary where figure = 'expected_f1'").fetchall()
    hours = [f"{each:+}" for each, _ in placebo]
    return [
        f"{matched:,} of {rows:,} rows matched ({matched / rows:.1%}), no row or conversion twice, "
        f"lags of {first} to {last} s; placebo at {', '.join(hours[:-1])} and {hours[-1]} h: "
        f"{', '.join(f'{rate:.2%}' for _, rate in placebo)} of the rows; {review:,} pairs for review, "
        f"{abroad:,} of them of another country. Expected F1 {f1:.3f}.",
    ]


def of_their_scores(snapshot: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the statements on scores, with the figures of a snapshot."""
    ((zeros, least),) = snapshot.execute(
        "select avg((important_score = 0)::int), min(important_score) filter (where important_score > 0) "
        "from marts.fct_broker_rows where isfinite(important_score)"
    ).fetchall()
    ((share,),) = snapshot.execute("select share from ml.conversion_session_scores").fetchall()
    assert least == 10
    return [
        f"{zeros:.1%} of the broker's valid scores are zero and the others begin at ten",
        f"sessions with several scored rows and an important one, {share:.0%} have important scores only",
    ]


@pytest.mark.real_data
def test_the_records_state_the_figures_of_the_real_files(snapshot: duckdb.DuckDBPyConnection) -> None:
    assert missing(of_the_real_files(snapshot), _MATCHING) == []
    assert missing(of_their_scores(snapshot), _INSIGHTS) == []


def test_a_statement_that_a_page_lacks_is_found_and_broken_lines_are_not() -> None:
    page = "58,458 of 61,840\nrows matched (94.5%)."
    assert missing(["58,458 of 61,840 rows matched (94.5%)", "1,818 pairs for review"], page) == [
        "1,818 pairs for review"
    ]
