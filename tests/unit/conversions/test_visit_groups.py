import duckdb
import numpy as np
import pandas as pd
import pytest

from quintet.conversions.visit_groups import group_in_words, visit_groups, visitors_in_words
from tests.unit.conversions.journeys import make_journeys


def groups_of(journeys: pd.DataFrame) -> pd.DataFrame:
    connection = duckdb.connect()
    connection.register("journeys", journeys)
    connection.execute("create schema marts; create table marts.fct_unified_journeys as from journeys")
    return visit_groups(connection)


def test_a_weak_group_comes_first_with_its_missing_customers():
    def important(journeys: pd.DataFrame) -> np.ndarray:
        return np.where((journeys["country_iso2"] == "US") & journeys["is_mobile"], 0.01, 0.2)

    first = groups_of(make_journeys(6_000, 1, important)).iloc[0]
    assert (first["device"], first["country"]) == ("mobile", "US")
    assert first["probability"] > 0.99
    assert 0 < first["gain"] < first["visits"] * first["share_of_all"]


def test_without_an_effect_small_groups_are_drawn_to_the_share_of_all():
    groups = groups_of(make_journeys(6_000, 1))
    plain = groups["important"] / groups["visits"]
    assert (groups["expected"] - groups["share_of_all"]).abs().max() < (plain - groups["share_of_all"]).abs().max() / 2


def test_gains_and_losses_of_all_groups_nearly_cancel():
    groups = groups_of(make_journeys(6_000, 2))
    assert groups["gain"].sum() == pytest.approx(0, abs=0.02 * groups["important"].sum())


@pytest.mark.parametrize("count", [0, 1])
def test_no_visit_and_a_single_one_make_no_group_that_is_clear(count):
    groups = groups_of(make_journeys(5, 1).head(count))
    assert len(groups) == count
    assert not (groups["probability"] >= 0.95).any()


def test_a_session_counts_once():
    journeys = make_journeys(50, 1)
    twice = pd.concat([journeys, journeys.assign(conversion_id=journeys["conversion_id"] + 50)])
    assert groups_of(twice)["visits"].sum() == 50


def test_groups_in_words():
    assert group_in_words("(no page category)", "mobile", "IN") == "phones, India, pages without a category"
    assert visitors_in_words("desktop", "(unknown)", "Guides") == "Visitors with desktops on pages “Guides”"
