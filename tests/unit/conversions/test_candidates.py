"""The candidate pairs of conversions and rows."""

import duckdb
import numpy as np
import pandas as pd

from quintet.conversions.candidates import (
    LARGEST_PER_ROW,
    MatchInput,
    Window,
    WindowArrays,
    by_country,
    country_name,
    find_candidates,
    lay_out,
    one_by_id,
    typed_conversions,
    write_ordered,
)

_DAY = 86_400


def test_an_id_given_for_two_countries_is_one_conversion_of_none():
    with duckdb.connect() as connection:
        connection.execute(
            "create table conversions as select *, timestamp '2024-05-01' as created_at "
            "from (values (1, 'US'), (1, 'US'), (2, 'DE'), (2, 'FR')) as t(conversion_id, country_iso2)"
        )
        unique = one_by_id(typed_conversions(MatchInput("conversions", "")))
        found = connection.execute(f"from {unique} order by 1").fetchall()
    assert [(number, country_name(code)) for number, _, code in found] == [(1, "US"), (2, "")]


def test_shares_are_found_by_country_and_the_unknown_last():
    shares = by_country({"US": 0.5, "": 0.1}, 0.01)
    assert (shares[20 * 26 + 18], shares[-1], shares[0]) == (0.5, 0.1, 0.01)


def _laid_out(connection: duckdb.DuckDBPyConnection, conversions: list[tuple], rows: list[tuple]) -> WindowArrays:
    """Return the window of day 1. conversions: id, second, country; rows: id, second, ip, residency."""
    connection.execute("create table c (conversion_id bigint, at_second bigint, country smallint)")
    connection.execute(
        "create table r (broker_row_id text, at_second bigint, ip smallint, residency smallint, partner_number bigint)"
    )
    for table, given in (("c", conversions), ("r", [(*row, 0) for row in rows])):
        if given:
            connection.executemany(f"insert into {table} values ({', '.join('?' * len(given[0]))})", given)
    window = Window(_DAY, 7_200)
    write_ordered(connection, "c", "r", window, np.array([1]), "near")
    return lay_out(connection, "near_conversions", "near_rows", window, np.array([1]))


def _pairs(conversions: list[tuple], rows: list[tuple], horizon: int = 100, any_country: int = 1) -> pd.DataFrame:
    """Return the pairs of day 1 by their ids."""
    with duckdb.connect() as connection:
        found = find_candidates(_laid_out(connection, conversions, rows), horizon, any_country)
        ids = connection.execute("select conversion_id from near_conversions order by place").df()["conversion_id"]
        row_ids = connection.execute("select broker_row_id from near_rows order by place").df()["broker_row_id"]
    return pd.DataFrame(
        {
            "row": row_ids.to_numpy()[found.rows["place"].to_numpy()[found.row]],
            "conversion": ids.to_numpy()[found.conversions["place"].to_numpy()[found.conversion]],
            "lag": found.lag,
            "agrees": found.agrees,
        }
    )


def test_a_row_has_candidates_of_its_countries_before_it_and_within_the_horizon():
    conversions = [(1, _DAY + 10, 5), (2, _DAY + 50, 5), (3, _DAY + 50, 6), (4, _DAY + 50, 7), (5, _DAY + 61, 5)]
    pairs = _pairs(conversions, [("a", _DAY + 60, 5, 6)], horizon=50)
    assert sorted(pairs["conversion"]) == [2, 3]
    assert pairs["agrees"].all()
    assert sorted(_pairs(conversions, [("a", _DAY + 60, 5, 6)], horizon=51)["conversion"]) == [1, 2, 3]


def test_a_conversion_in_the_same_second_has_lag_zero():
    assert _pairs([(1, _DAY, 5)], [("a", _DAY, 5, -1)])["lag"].tolist() == [0]


def test_conversions_of_any_country_are_candidates_for_a_short_time_and_do_not_agree():
    conversions = [(1, _DAY + 58, 5), (2, _DAY + 50, 5), (3, _DAY + 59, -1)]
    pairs = _pairs(conversions, [("a", _DAY + 60, 6, -1), ("b", _DAY + 60, -1, -1)], any_country=5)
    assert sorted(zip(pairs["row"], pairs["conversion"], strict=True)) == [("a", 1), ("a", 3), ("b", 1), ("b", 3)]
    assert not pairs["agrees"].any()


def test_of_many_conversions_in_one_second_a_row_has_a_limited_number_of_candidates():
    conversions = [(number, _DAY, 5) for number in range(500)]
    pairs = _pairs(conversions, [("a", _DAY, 5, -1), ("b", _DAY, 5, -1)])
    assert pairs.groupby("row")["conversion"].nunique().tolist() == [LARGEST_PER_ROW, LARGEST_PER_ROW]


def test_the_window_extends_beyond_the_block_and_marks_its_own():
    conversions = [(1, _DAY - 7_200, 5), (2, _DAY - 7_201, 5), (3, _DAY, 5), (4, 2 * _DAY + 7_199, 5), (5, 9 * _DAY, 5)]
    with duckdb.connect() as connection:
        laid = _laid_out(connection, conversions, [("a", _DAY + 1, 5, 5), ("b", 3 * _DAY, 5, 5)])
        ids = connection.execute("select conversion_id from near_conversions order by place").df()["conversion_id"]
    assert dict(zip(ids[laid.conversions.place], laid.conversions.own, strict=True)) == {1: False, 3: True, 4: False}
    assert laid.rows["at_second"].tolist() == [_DAY + 1]


def test_a_row_years_away_has_no_candidate():
    """Far times must not run into the keys of other blocks."""
    far = 253_402_300_000  # the year 9999
    with duckdb.connect() as connection:
        connection.execute(f"create table c as select 1::bigint conversion_id, {far}::bigint at_second, 675 country")
        connection.execute(
            f"create table r as select id as broker_row_id, at_second, 675 ip, 675 residency, 0::bigint partner_number "
            f"from (values ('near', {far} + 5), ('first', 5)) as t(id, at_second)"
        )
        window, blocks = Window(3_600, 7_200), np.array([0, far // 3_600])
        write_ordered(connection, "c", "r", window, blocks, "near")
        found = find_candidates(lay_out(connection, "near_conversions", "near_rows", window, blocks), 100, 1)
    assert found.lag.tolist() == [5]
