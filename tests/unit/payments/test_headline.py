"""The line about payments in the summary of a run."""

import duckdb
import pytest

from quintet.payments.headline import headline


@pytest.fixture
def marts() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("""
        create schema marts;
        create table marts.fct_payment_minutes (
            day date, minute_at timestamp, status varchar, count bigint, is_observed boolean
        );
        create table marts.fct_checkout_hours (source_file varchar, hour integer, today bigint);
        create table marts.fct_payment_incidents (incident_id varchar, severity varchar, group_id varchar);
        create table marts.fct_checkout_anomalies (source_file varchar, hour integer, is_anomalous boolean);
    """)
    return connection


def _add_days(marts: duckdb.DuckDBPyConnection, days: int) -> None:
    """Add days of two minutes and two statuses: 2,000 transactions in the first minute, the second not observed."""
    marts.execute(
        """
        insert into marts.fct_payment_minutes
        select day::date, day + to_minutes(minute), status, if(minute = 0, 1000, 0), minute = 0
        from
            (select date '2024-01-01' + range::integer as day from range(?)),
            (select unnest([0, 1]) as minute),
            (select unnest(['approved', 'denied']) as status)
        """,
        [days],
    )


def test_the_line_has_transactions_unobserved_minutes_and_incidents(marts: duckdb.DuckDBPyConnection):
    _add_days(marts, 2)
    marts.execute(
        "insert into marts.fct_payment_incidents values ('a', 'critical', 'a'), ('b', 'warning', 'a'), "
        "('c', 'warning', 'c')"
    )

    assert headline(marts) == (
        "2024-01-01: 2,000 transactions, 1 minute unobserved; 2024-01-02: 2,000 transactions, 1 minute unobserved; "
        "3 incidents (1 critical) in 2 groups"
    )


def test_many_days_are_summed_up(marts: duckdb.DuckDBPyConnection):
    _add_days(marts, 8)

    assert headline(marts) == (
        "8 days from 2024-01-01 to 2024-01-08: 16,000 transactions, 8 minutes unobserved; "
        "0 incidents (0 critical) in 0 groups"
    )


def test_the_line_has_checkout_sales(marts: duckdb.DuckDBPyConnection):
    marts.execute("insert into marts.fct_checkout_hours values ('a.csv', 0, 1500), ('b.csv', 0, 2), ('b.csv', 1, 0)")
    marts.execute("insert into marts.fct_checkout_anomalies values ('a.csv', 0, false), ('b.csv', 0, true)")

    assert headline(marts) == "checkout: 1,502 sales in 3 hours of 2 files, 1 anomalous"


def test_empty_tables_are_no_data(marts: duckdb.DuckDBPyConnection):
    assert headline(marts) == "no data"


def test_a_snapshot_without_the_domain_is_no_data():
    assert headline(duckdb.connect()) == "no data"
