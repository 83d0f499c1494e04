"""Two periods of insurance: growth is of agencies with premium in both, and can be recomputed from what is shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from fastapi.testclient import TestClient

from quintet.insurance.comparison import compare_periods, complete_years
from quintet.insurance.performance import Filters, QueryError, summary_frame
from quintet.warehouse.snapshot import open_snapshot
from quintet.web.pages.insurance import with_operands

HTML = {"accept": "text/html"}


@pytest.fixture(scope="module")
def snapshot(built_home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_snapshot((built_home / "serving" / "current.duckdb").resolve()) as connection:
        yield connection


def test_growth_is_of_the_agencies_with_premium_in_both_periods(snapshot: duckdb.DuckDBPyConnection) -> None:
    *_, before, now = complete_years(snapshot)
    found = compare_periods(snapshot, Filters(), (before, before), (now, now))

    [(then, later)] = snapshot.execute(
        "select sum(one), sum(other) from ("
        "select agency_id, sum(written_premium) filter (where year = $before) as one, "
        "sum(written_premium) filter (where year = $now) as other from marts.fct_agency_performance group by all) "
        "where one > 0 and other is not null",
        {"before": before, "now": now},
    ).fetchall()
    assert found.before == pytest.approx(float(then))
    assert found.now == pytest.approx(float(later))
    assert found.growth == pytest.approx(float(later) / float(then) - 1)
    shown = found.agencies[found.agencies["is_comparable"]]
    assert (shown["premium_now"] / shown["premium_before"] - 1).tolist() == pytest.approx(shown["growth"].tolist())
    assert found.agencies.loc[~found.agencies["is_comparable"], "growth"].isna().all()


def test_several_years_are_averaged(snapshot: duckdb.DuckDBPyConnection) -> None:
    years = complete_years(snapshot)
    one = compare_periods(snapshot, Filters(), (years[0], years[1]), (years[-1], years[-1]))
    [(total,)] = snapshot.execute(
        "select sum(written_premium) from marts.fct_agency_performance where year in (?, ?)", [years[0], years[1]]
    ).fetchall()

    assert one.agencies["premium_before"].sum() == pytest.approx(float(total) / 2)


@pytest.mark.parametrize(("first", "last", "words"), [(2012, 2010, "swap the two"), (2005, 2006, "is not complete")])
def test_a_period_that_cannot_be_compared_says_why(
    snapshot: duckdb.DuckDBPyConnection, client: TestClient, first: int, last: int, words: str
) -> None:
    with pytest.raises(QueryError, match=words):
        compare_periods(snapshot, Filters(), (first, last), (2014, 2014))
    page = client.get(f"/insurance?tab=compare&before_from={first}&before_to={last}", headers=HTML)
    assert page.status_code == 200
    assert words in page.text


def test_every_growth_of_the_table_of_agencies_can_be_recomputed(snapshot: duckdb.DuckDBPyConnection) -> None:
    shown = with_operands(summary_frame(snapshot, Filters(), ["agency"])).dropna(subset=["growth_rate"])

    assert len(shown) > 3
    assert (shown["growth_to"] / shown["growth_from"] - 1).tolist() == pytest.approx(shown["growth_rate"].tolist())
