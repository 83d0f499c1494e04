"""The published figures of the real files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from quintet.warehouse.snapshot import open_snapshot
from tests.conftest import Quintet

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def snapshot(real: Quintet) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_snapshot(real.snapshot) as connection:
        yield connection


def rows(snapshot: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return snapshot.execute(query).fetchall()


@pytest.mark.parametrize(
    ("dataset", "read"),
    [
        ("agency_performance", 10_000),
        ("promo_users", 8_998),
        ("promo_codes", 1_000),
        ("promo_usages", 8_990),
        ("conversions", 102_441),
        ("broker_rows", 61_840),
        ("page_categories", 40),
        ("transactions", 8_178),
        ("checkout_sales", 48),
    ],
)
def test_every_row_is_read_and_none_rejected(snapshot: duckdb.DuckDBPyConnection, dataset: str, read: int) -> None:
    query = f"select sum(rows), sum(loaded), sum(rejected) from marts.ops_batches where dataset = '{dataset}'"
    assert rows(snapshot, query) == [(read, read, 0)]


def test_premium_and_losses_are_exact_to_the_cent(snapshot: duckdb.DuckDBPyConnection) -> None:
    query = "select sum(written_premium), sum(incurred_losses) from marts.fct_agency_performance"
    assert rows(snapshot, query) == [(Decimal("168988558.48"), Decimal("104445790.65"))]


def test_agencies_with_an_unknown_master_are_kept(snapshot: duckdb.DuckDBPyConnection) -> None:
    query = "select count(*), count(*) filter (primary_agency_id is null) from marts.dim_agency"
    assert rows(snapshot, query) == [(83, 35)]


def test_loss_ratios_are_recomputed_from_sums(snapshot: duckdb.DuckDBPyConnection) -> None:
    query = """
        select prod_line, round(sum(loss_ratio_numerator)::double / sum(loss_ratio_denominator)::double, 6)
        from marts.agg_premium_by_line_state_year where year between 2010 and 2012 group by all order by all
    """
    assert rows(snapshot, query) == [("CL", 0.944463), ("PL", 0.555008)]


def test_repeated_codes_are_one_row_that_says_what_was_merged(snapshot: duckdb.DuckDBPyConnection) -> None:
    query = "select count(*), sum(source_rows), count(*) filter (source_rows > 1) from marts.dim_promo_code"
    ((codes, source_rows, merged),) = rows(snapshot, query)
    assert (codes, source_rows) == (947, 1_000)
    explained = rows(snapshot, "select count(*) from marts.dim_promo_code where source_rows > 1 and merge_reason != ''")
    assert explained == [(merged,)]


def test_usages_join_codes_and_users_without_fan_out(snapshot: duckdb.DuckDBPyConnection) -> None:
    assert rows(snapshot, "select count(*) from marts.fct_promo_usages") == [(8_990,)]
    joined = """
        select count(*) from marts.fct_promo_usages
        left join marts.dim_promo_code using (promo_code) left join marts.fct_promo_users using (user_id)
    """
    assert rows(snapshot, joined) == [(8_990,)]


def test_repeated_conversions_are_one(snapshot: duckdb.DuckDBPyConnection) -> None:
    query = "select count(*), count(distinct conversion_id) from marts.fct_conversions"
    assert rows(snapshot, query) == [(102_365, 102_365)]


def test_invalid_scores_are_missing_with_their_reason(snapshot: duckdb.DuckDBPyConnection) -> None:
    query = """
        select count(*), count(*) filter (important_score is null and important_score_missing_reason is not null)
        from marts.fct_broker_rows
    """
    assert rows(snapshot, query) == [(61_840, 401)]


def test_unmapped_page_codes_are_reported(snapshot: duckdb.DuckDBPyConnection) -> None:
    # 8,055 rows, three of them conversions that are listed for two countries
    assert rows(snapshot, "select count(*) from marts.fct_conversions where page_category is null") == [(8_052,)]
    query = "select * from marts.unmapped_page_categories order by conversions desc limit 2"
    expected = [("01safety/02isscam/03notrel", 7_688), ("01safety/02issafe/03notrel", 317)]
    assert [row[:2] for row in rows(snapshot, query)] == expected


def test_every_country_is_recognised_or_truly_missing(snapshot: duckdb.DuckDBPyConnection) -> None:
    query = "select spelling from marts.dim_country_spelling where country_iso2 is null order by all"
    assert rows(snapshot, query) == [("-",)]


def test_transactions_are_two_consecutive_days(snapshot: duckdb.DuckDBPyConnection) -> None:
    query = """
        select day, sum(count)::bigint, count(distinct minute_at) filter (not is_observed), count(distinct minute_at)
        from marts.fct_payment_minutes group by day order by day
    """
    first = dt.date(2024, 1, 1)
    expected = [(first, 254_670, 118, 1_440), (first + dt.timedelta(days=1), 308_406, 121, 1_440)]
    assert rows(snapshot, query) == expected


def test_checkout_days_are_whole(snapshot: duckdb.DuckDBPyConnection) -> None:
    query = "select source_file, count(*) from marts.fct_checkout_hours group by all order by all"
    assert rows(snapshot, query) == [("checkout_1.csv", 24), ("checkout_2.csv", 24)]


def test_no_key_is_in_conflict(snapshot: duckdb.DuckDBPyConnection) -> None:
    assert rows(snapshot, "select count(*) from marts.ops_conflicts") == [(0,)]
