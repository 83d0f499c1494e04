"""Training a matching model: from the rows alone, in any order, and what the promotion gate asks of it."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quintet.conversions.fit import Training, fit, gate, halo_seconds, train
from quintet.conversions.match import match, placebo, write_reasons
from quintet.conversions.match_report import match_report
from quintet.conversions.matching_model import MatchingModel
from tests.integration.matching_worlds import DATA, make_world, minutes, open_world

MODEL = MatchingModel({}, ((0.0, 0.0), (1.0, 1.0)), threshold=0.5, chosen_come_true=1.0)


@pytest.fixture(scope="module")
def world() -> tuple[pd.DataFrame, pd.DataFrame]:
    return make_world(2_000, 10, 1, offset_seconds=7_200)


@pytest.fixture(scope="module")
def training(world: tuple[pd.DataFrame, pd.DataFrame]) -> Training:
    return train(open_world(*world), DATA)


def test_it_finds_the_clock_and_that_most_rows_have_a_conversion(training: Training) -> None:
    (partner,) = training.model.partners.values()

    assert [stretch.offset_seconds for stretch in partner.clock] == [7_200]
    assert partner.lag.horizon_seconds <= 60
    assert partner.row_link_share > 0.9
    assert 0 < training.model.threshold < 1


def test_nearly_all_rows_match_at_their_own_hours_and_nearly_none_at_others(training: Training) -> None:
    assert training.match_share > 0.95
    assert training.false_share < 0.05
    assert gate(training, training.model).passes


def test_the_order_of_the_rows_does_not_matter(world: tuple[pd.DataFrame, pd.DataFrame], training: Training) -> None:
    shuffled = (rows.sample(frac=1, random_state=3) for rows in world)

    assert fit(open_world(*shuffled), DATA).version == training.model.version


def test_other_rows_give_another_model(training: Training) -> None:
    assert fit(open_world(*make_world(2_000, 10, 2)), DATA).version != training.model.version


@pytest.mark.parametrize("missing", [0, 1])
def test_without_one_side_there_is_a_model_that_matches_nothing(
    world: tuple[pd.DataFrame, pd.DataFrame], missing: int
) -> None:
    sides = [rows.head(0) if side == missing else rows for side, rows in enumerate(world)]
    empty = train(open_world(*sides), DATA)

    assert (empty.match_share, empty.false_share) == (0, 0)


def test_rows_unrelated_to_the_conversions_match_few_at_any_hour() -> None:
    conversions, _ = make_world(2_000, 10, 1, lags=minutes)
    _, rows = make_world(2_000, 10, 9, lags=minutes)
    rows["broker_at"] = rows["broker_at"].sample(frac=1, random_state=4).to_numpy()
    unrelated = train(open_world(conversions, rows), DATA)

    assert unrelated.match_share < 0.3
    assert unrelated.match_share < 3 * unrelated.false_share + 0.05


def test_training_leaves_no_table(world: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    connection = open_world(*world)
    tables = "select table_name from duckdb_tables() order by 1"
    before = connection.execute(tables).fetchall()
    fit(connection, DATA)

    assert connection.execute(tables).fetchall() == before
    assert connection.execute("select count(*) from duckdb_views() where not internal").fetchall() == [(0,)]


@pytest.mark.parametrize(
    ("matched", "false", "current", "passes"),
    [
        (0.9, 0.004, MODEL, True),  # hardly any false match
        (0.0, 0.0, MODEL, True),  # matches nothing, and so nothing false
        (0.9, 0.3, MODEL, True),  # dense conversions: three times as many as at random
        (0.5, 0.3, MODEL, False),
        (0.02, 0.02, MODEL, False),
        (0.02, 0.02, None, True),  # there is no other
    ],
)
def test_the_gate_asks_for_clearly_more_matches_than_false_ones(
    matched: float, false: float, current: MatchingModel | None, passes: bool
) -> None:
    verdict = gate(Training(MODEL, matched, false), current)

    assert verdict.passes == passes
    assert f"{matched:.1%}" in verdict.why
    assert ("little better than chance" in verdict.why) == (matched == false != 0 or matched == 0.5)


@pytest.mark.parametrize(("horizon", "expected"), [(1, 7_200), (7_200, 7_200), (7_201, 10_800), (21_600, 21_600)])
def test_a_window_reaches_past_the_longest_lag_by_whole_hours(horizon: int, expected: int) -> None:
    assert halo_seconds(horizon) == expected


def test_a_row_of_no_known_country_does_not_disturb_training(world: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    conversions, rows = world
    unknown = rows.assign(ip_iso2=np.where(np.arange(len(rows)) % 10 == 0, None, rows["ip_iso2"]))
    connection: duckdb.DuckDBPyConnection = open_world(conversions, unknown)

    assert train(connection, DATA).match_share > 0.8


_FIRST, _LAST = 946_684_800, 4_102_444_799
"""The contract's bounds of a broker row's time."""


@st.composite
def worlds(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a few conversions and rows that pass the contracts, also equal ones, of no country, and years apart."""
    start = draw(st.sampled_from([_FIRST, 1_713_000_000, _LAST - 86_400]))
    span = draw(st.sampled_from([0, 5, 3_600, 86_400, 40 * 86_400]))
    of_rows = draw(st.sampled_from([start, start, _FIRST, _LAST - span]))
    countries = draw(st.sampled_from([["US"], [None], ["US", "DE", "ZZ", None]]))
    edges = draw(st.sampled_from([[], [_FIRST, _LAST]]))
    copies = draw(st.sampled_from([1, 1, 40]))

    def times(first: int) -> st.SearchStrategy[int]:
        within = st.integers(first, min(first + span, _LAST))
        return within | st.sampled_from(edges) if edges else within

    country = st.sampled_from(countries)
    conversions = draw(st.lists(st.tuples(times(start), country), max_size=12)) * copies
    rows = draw(st.lists(st.tuples(times(of_rows), st.sampled_from("ab"), country, country), max_size=12)) * copies
    return (
        pd.DataFrame(conversions, columns=["at", "country_iso2"], dtype=object).assign(
            conversion_id=np.arange(len(conversions)),
            created_at=lambda frame: pd.to_datetime(frame.pop("at").astype("int64"), unit="s"),
        )[["conversion_id", "country_iso2", "created_at"]],
        pd.DataFrame(rows, columns=["at", "partner", "residency_iso2", "ip_iso2"], dtype=object).assign(
            broker_row_id=[f"row-{number}" for number in range(len(rows))],
            broker_at=lambda frame: pd.to_datetime(frame.pop("at").astype("int64"), unit="s"),
        )[["broker_row_id", "partner", "broker_at", "residency_iso2", "ip_iso2"]],
    )


def impossible_matches(connection: duckdb.DuckDBPyConnection, model: MatchingModel) -> list[tuple[object, ...]]:
    """Return the matches of rows of another country or of none, beyond the longest lag, or without a probability."""
    return connection.execute(
        "select * from matching.matches join conversions using (conversion_id) join broker_rows using (broker_row_id) "
        "where lag_seconds not between 0 and ? "
        "or tier = 'matched' and not coalesce(country_iso2 in (ip_iso2, residency_iso2), false) "
        "or not coalesce(match_probability between 0 and 1, false) "
        "or not coalesce(runner_up_probability, 0) between 0 and 1",
        [model.horizon_seconds],
    ).fetchall()


def matched_twice(connection: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
    """Return the rows of either side that have several matches, or a match and a reason for having none."""
    found: list[tuple[object, ...]] = []
    for key, unmatched in (("conversion_id", "unmatched_conversions"), ("broker_row_id", "unmatched_broker_rows")):
        found += connection.execute(
            f"select {key} from (select {key} from matching.matches where tier = 'matched' "
            f"union all select {key} from matching.{unmatched}) group by all having count(*) > 1"
        ).fetchall()
    return found


@pytest.mark.filterwarnings("error::RuntimeWarning")
@settings(max_examples=10)
@given(worlds())
def test_whatever_passes_the_contract_is_trained_on_and_never_matched_to_what_cannot_be(
    world: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    connection = open_world(*world)
    model = train(connection, DATA).model
    assert MatchingModel.from_json(model.to_json()) == model
    connection.execute("create schema matching; create schema ml")
    match(connection, DATA, model, "matching")
    write_reasons(connection, DATA, model, "matching")
    rates = placebo(connection, DATA, model, schema="matching_placebo")
    match_report(connection, model, rates, "matching", None)

    assert impossible_matches(connection, model) == []
    assert matched_twice(connection) == []
    accounted = connection.execute(
        "select (select count(*) from matching.unmatched_conversions), "
        "(select count(*) from matching.unmatched_broker_rows)"
    ).fetchone()
    matched = connection.execute("select count(*) from matching.matches where tier = 'matched'").fetchall()[0][0]
    assert accounted == tuple(len(side) - matched for side in world)


def test_an_impossible_match_is_found(world: tuple[pd.DataFrame, pd.DataFrame], training: Training) -> None:
    connection = open_world(*(rows.head(200) for rows in world))
    connection.execute("create schema matching")
    match(connection, DATA, training.model, "matching")
    write_reasons(connection, DATA, training.model, "matching")
    assert (impossible_matches(connection, training.model), matched_twice(connection)) == ([], [])

    connection.execute("update broker_rows set ip_iso2 = 'ZZ'")
    assert impossible_matches(connection, training.model)
    connection.execute("insert into matching.matches select * from matching.matches")
    assert matched_twice(connection)
