"""The sentence about conversions in the summary of a run."""

import duckdb
import pytest

from quintet.conversions.headline import headline


@pytest.fixture
def marts() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("""
        create schema marts;
        create table marts.fct_conversions (conversion_id bigint);
        create table marts.fct_broker_rows (important_score double, important_score_missing_reason varchar);
        create table marts.fct_conversion_matches (tier varchar);
        create table marts.unmapped_page_categories (measurement_category varchar, conversions bigint);
        create table marts.ops_batches (dataset varchar, "at" timestamp);
        insert into marts.ops_batches values
            ('broker_rows', '2024-05-01 10:00:00'), ('broker_rows', '2024-05-09 10:00:00');
        create table marts.dim_partner (
            partner varchar, rows bigint, first_arrived_at timestamp, repeats_partner varchar, repeated_rows bigint
        );
        insert into marts.dim_partner values ('broker', 3, '2024-05-01 09:59:00', null, 0);
        create schema ml;
        create table ml.matching_placebo (false_match_rate double);
        insert into marts.fct_conversions select range from range(10000);
        insert into marts.fct_broker_rows values (0, null), (null, 'spreadsheet_error'), (3, null);
        insert into marts.fct_conversion_matches values ('matched'), ('matched'), ('review');
        insert into ml.matching_placebo values (0.001), (0.004);
    """)
    return connection


def test_the_sentence_has_matches_placebo_rate_and_the_most_frequent_unmapped_codes(
    marts: duckdb.DuckDBPyConnection,
):
    marts.execute(
        "insert into marts.unmapped_page_categories values ('z', 2), ('01a/02b', 7688), ('01c', 317), (null, 1)"
    )

    assert headline(marts) == (
        "2 of 3 broker rows matched to 10,000 conversions (66.7%, placebo at most 0.40%), 1 pair for review; "
        "1 invalid score, unmapped page codes: 01a/02b (7,688), 01c (317), 2 others (3)"
    )


def test_the_sentence_states_when_every_code_is_mapped(marts: duckdb.DuckDBPyConnection):
    assert headline(marts).endswith("every page code mapped")


def test_a_payload_among_the_codes_is_cut_and_cannot_steer_a_terminal(marts: duckdb.DuckDBPyConnection):
    marts.execute("insert into marts.unmapped_page_categories values (?, 1)", ["\x1b[2J\n" + "a" * 100])

    assert headline(marts).endswith(f"unmapped page codes: ?[2J?{'a' * 55} (1)")


def test_conversions_without_a_broker_row_have_no_rate(marts: duckdb.DuckDBPyConnection):
    marts.execute("delete from marts.fct_broker_rows; delete from marts.fct_conversion_matches")

    assert headline(marts).startswith("0 of 0 broker rows matched to 10,000 conversions, 0 pairs for review;")


def test_empty_tables_are_no_data(marts: duckdb.DuckDBPyConnection):
    marts.execute("delete from marts.fct_conversions; delete from marts.fct_broker_rows")

    assert headline(marts) == "no data"


def test_a_snapshot_without_the_domain_is_no_data():
    assert headline(duckdb.connect()) == "no data"


def test_a_new_partner_and_one_that_repeats_another_are_announced(marts: duckdb.DuckDBPyConnection):
    marts.execute(
        "insert into marts.dim_partner values ('broker_data', 41, '2024-05-09 09:59:00', 'broker', 40), "
        "('northern', 5, '2024-05-02 09:59:00', null, 0)"
    )

    assert headline(marts).endswith(
        "; partners: broker (3 rows), northern (5 rows), broker_data (41 rows, new, 40 of them are rows of broker: "
        "counted once, as broker; was a file copied?)"
    )
