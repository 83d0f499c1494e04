"""Queries for the promotions page: over time, by user, by code, by score."""

from __future__ import annotations

import duckdb
import pytest

from quintet.promotions.overview import clusters, decisions, grain_of, score_histogram, timeline, top_codes, top_users


@pytest.fixture
def marts() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    for statement in (
        "create schema marts",
        "create table marts.fct_promo_users (user_id varchar, created_at timestamp, is_abuser boolean)",
        "create table marts.fct_promo_usages (user_id varchar, promo_code varchar, used_at timestamp, "
        "discount_type varchar, discount_value double, is_code_known boolean)",
        "create table marts.fct_abuse_scores (user_id varchar, score double, decision varchar, cluster_id varchar)",
        "create table marts.agg_abuse_clusters (cluster_id varchar, accounts bigint, uses bigint)",
    ):
        connection.execute(statement).fetchall()
    return connection


def use(marts: duckdb.DuckDBPyConnection, *uses: tuple[str, str, str]) -> None:
    for user, code, at in uses:
        marts.execute("insert into marts.fct_promo_usages values (?, ?, ?, 'percentage', 5, true)", [user, code, at])


def test_a_period_without_any_event_is_a_row_of_zeros(marts: duckdb.DuckDBPyConnection):
    marts.execute("insert into marts.fct_promo_users values ('a', '2026-01-01 10:00', null)")
    use(marts, ("a", "X", "2026-01-04 09:00"))
    rows = timeline(marts, "day")

    assert rows["registrations"].tolist() == [1, 0, 0, 0]
    assert rows["usages"].tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize(("last", "grain"), [("2026-02-01", "day"), ("2027-01-01", "week"), ("2031-01-01", "month")])
def test_the_grain_follows_the_span(marts: duckdb.DuckDBPyConnection, last: str, grain: str):
    use(marts, ("a", "X", "2026-01-01"), ("a", "X", last))

    assert grain_of(marts) == grain


def test_ties_are_counted_beyond_what_is_shown(marts: duckdb.DuckDBPyConnection):
    use(marts, *((f"u{number:02}", "X", "2026-01-01") for number in range(15)), ("u00", "Y", "2026-01-01"))
    users, codes = top_users(marts), top_codes(marts)

    assert users.rows["user_id"].tolist()[:2] == ["u00", "u01"]
    assert (users.tied, users.total, users.left_out) == (14, 15, 5)
    assert codes.rows[["promo_code", "uses", "users"]].to_numpy().tolist() == [["X", 15, 15], ["Y", 1, 1]]
    assert codes.left_out == 0


def test_every_score_lies_in_one_bin_the_highest_too(marts: duckdb.DuckDBPyConnection):
    for user, score in (("a", 0.0), ("b", 0.5), ("c", 1.0)):
        marts.execute("insert into marts.fct_abuse_scores values (?, ?, 'allow', null)", [user, score])
    marts.execute("insert into marts.fct_promo_users values ('c', null, true), ('b', null, false)")
    bins = score_histogram(marts)

    assert bins["accounts"].tolist() == [1, *[0] * 9, 1, *[0] * 8, 1]
    assert (bins["abusers"].iloc[-1], bins["honest"].iloc[10], bins["unlabelled"].iloc[0]) == (1, 1, 1)


def test_empty_tables_are_no_error(marts: duckdb.DuckDBPyConnection):
    assert timeline(marts, grain_of(marts)).empty
    assert (top_users(marts).total, top_codes(marts).left_out) == (0, 0)
    assert score_histogram(marts)["accounts"].sum() == 0
    assert decisions(marts) == {"allow": 0, "review": 0, "block": 0}
    assert clusters(marts).empty
