"""The sentence about insurance in the summary of a run."""

import duckdb
import pytest

from quintet.insurance.headline import headline

_FACTS = "insert into marts.fct_agency_performance"
_FIGURES = f"{_FACTS} (agency_id, year, written_premium, incurred_losses, is_year_complete) values"
"""Rows of one product in one state."""


@pytest.fixture
def marts() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("""
        create schema marts;
        create table marts.dim_agency (agency_id bigint, primary_agency_id bigint);
        create table marts.fct_agency_performance (
            agency_id bigint, year integer, written_premium decimal(18, 4), incurred_losses decimal(18, 4),
            is_year_complete boolean, prod_abbr varchar default 'BOP', state_abbr varchar default 'OH'
        );
        create table marts.dim_year (
            year integer, rows bigint, usual_rows double, is_complete boolean, incomplete_reason varchar
        );
        insert into marts.dim_year values (2013, 9, 9, true, null);
    """)
    return connection


def test_the_sentence_has_agencies_premium_losses_and_their_ratio(marts: duckdb.DuckDBPyConnection):
    marts.execute("insert into marts.dim_agency values (1, 7), (2, null), (3, null)")
    marts.execute(f"{_FIGURES} (1, 2013, 1200.25, 600, true), (2, 2013, 0, 150.5, true), (3, 2013, -0.25, 0, true)")

    assert headline(marts) == (
        "3 agencies (2 with an unknown master), written premium 1,200.00 USD, losses 750.50 USD, loss ratio 0.625"
    )


def test_without_premium_there_is_no_loss_ratio(marts: duckdb.DuckDBPyConnection):
    marts.execute("insert into marts.dim_agency values (1, 7)")
    marts.execute(f"{_FIGURES} (1, 2013, 0, 5, true)")

    assert headline(marts).endswith("losses 5.00 USD, no loss ratio")


def test_empty_tables_are_no_data(marts: duckdb.DuckDBPyConnection):
    assert headline(marts) == "no data"


def test_a_snapshot_without_the_domain_is_no_data():
    assert headline(duckdb.connect()) == "no data"


def test_a_table_of_another_shape_is_an_error_and_not_no_data(marts: duckdb.DuckDBPyConnection):
    marts.execute("alter table marts.dim_agency drop column primary_agency_id")

    with pytest.raises(duckdb.BinderException):
        headline(marts)


def test_years_that_are_left_out_are_named_with_their_rows(marts: duckdb.DuckDBPyConnection):
    marts.execute(f"{_FIGURES} (1, 2013, 10, 5, true), (2, 2013, 10, 5, false)")
    marts.execute("insert into marts.dim_year values (2041, 1, 9, false, 'future'), (2014, 2, 9, false, 'short')")

    assert headline(marts).endswith(
        "; left out of forecast and policies in force: 2041 (1 row: in the future), 2014 (2 rows: few rows so far), "
        "2013 of 1 agency (few months)"
    )


def test_a_short_year_with_its_usual_rows_is_not_news(marts: duckdb.DuckDBPyConnection):
    marts.execute(f"{_FIGURES} (1, 2013, 10, 5, true)")
    marts.execute("insert into marts.dim_year values (2014, 8, 9, false, 'short')")

    assert headline(marts).endswith("loss ratio 0.500")


def test_codes_that_are_no_state_are_counted_and_named(marts: duckdb.DuckDBPyConnection):
    marts.execute(f"{_FACTS} select 1, 2013, 10, 5, true, 'BOP', unnest(['OH', 'PR', 'XX', 'XX', 'OHIO'])")

    assert headline(marts).endswith("loss ratio 0.500; 3 rows of an unknown state (XX, OHIO)")


def test_of_many_unknown_states_the_commonest_are_named(marts: duckdb.DuckDBPyConnection):
    marts.execute(f"{_FACTS} select 1, 2013, 10, 5, true, 'BOP', 'X' || n from range(8) r(n)")

    assert headline(marts).endswith("; 8 rows of an unknown state (X0, X1, X2, X3, X4 and 3 more)")


def test_products_that_differ_only_in_spaces_are_named(marts: duckdb.DuckDBPyConnection):
    marts.execute(
        f"{_FACTS} select 1, 2013, 10, 5, true, unnest(['ANNIV   12', 'ANNIV 12', 'CYCLES  12', 'BOP']), 'OH'"
    )

    assert headline(marts).endswith('; products that differ only in spaces: "ANNIV   12" and "ANNIV 12"')
