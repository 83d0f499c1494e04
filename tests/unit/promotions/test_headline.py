"""The line about promotions in the summary of a run."""

import duckdb
import pytest

from quintet.promotions.headline import headline


@pytest.fixture
def marts() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("""
        create schema marts;
        create table marts.fct_promo_users (user_id varchar);
        create table marts.fct_promo_usages (
            user_id varchar, promo_code varchar, is_user_known boolean, is_code_known boolean
        );
        create table marts.dim_promo_code (promo_code varchar, source_rows bigint);
        create table marts.fct_abuse_scores (user_id varchar, decision varchar, cluster_id varchar);
        create schema ml;
        create table ml.abuse_model as select 'scorecard' as kind;
        create table ml.abuse_worlds as
            select * from (values ('farms', 0.93), ('farms, hard', 0.601)) as known (world, average_precision);
    """)
    return connection


def test_the_line_has_users_codes_with_their_rows_usages_and_decisions(marts: duckdb.DuckDBPyConnection):
    marts.execute("insert into marts.fct_promo_users select range::varchar from range(1200)")
    marts.execute("insert into marts.fct_promo_usages values ('1', 'A', true, true), ('2', 'A', true, true)")
    marts.execute("insert into marts.dim_promo_code values ('A', 1), ('B', 3)")

    marts.execute(
        "insert into marts.fct_abuse_scores values ('1', 'block', 'c'), ('2', 'block', 'c'), ('3', 'review', null)"
    )

    assert headline(marts) == (
        "1,200 users, 2 codes (merged from 4 rows), 2 usages; "
        "2 users to block, 1 to review, 1 cluster (scorecard model; "
        "worst of 2 generated worlds without labels: farms, hard, average precision 0.60)"
    )


def test_users_alone_are_reported(marts: duckdb.DuckDBPyConnection):
    marts.execute("insert into marts.fct_promo_users values ('1')")

    assert headline(marts) == (
        "1 user, 0 codes (merged from 0 rows), 0 usages; 0 users to block, 0 to review, 0 clusters (scorecard model; "
        "worst of 2 generated worlds without labels: farms, hard, average precision 0.60)"
    )


def test_empty_tables_are_no_data(marts: duckdb.DuckDBPyConnection):
    assert headline(marts) == "no data"


def test_a_snapshot_without_the_domain_is_no_data():
    assert headline(duckdb.connect()) == "no data"


def test_uses_of_unknown_codes_and_users_are_counted(marts: duckdb.DuckDBPyConnection):
    marts.execute("insert into marts.fct_promo_usages values ('1', 'x', true, false), ('2', 'x', false, false)")

    assert "2 usages (2 of an unknown code, 1 of an unknown user); " in headline(marts)
