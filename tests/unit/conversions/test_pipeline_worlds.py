from dataclasses import replace

import pandas as pd
import pytest

from quintet.conversions.pipeline_worlds import BASE, CHANGES, compare_matchers, measure_changes, open_world
from quintet.samples.conversions_site import ConversionsWorld

WORLD = ConversionsWorld(conversions=1_500, days=3, countries=20)
BROKER = replace(BASE, opens_after_days=0.5, closes_after_days=3, clock_changes_after_days=2)
SOME = {name: CHANGES[name] for name in ("base", "postbacks", "back_fill", "ids")}


@pytest.fixture(scope="module")
def measured() -> pd.DataFrame:
    return measure_changes(WORLD, BROKER, SOME, seed=3).set_index("change")


def test_an_id_and_short_lags_gain_more_than_any_inference(measured):
    assert measured.loc["ids", "f1"] > measured.loc["base", "f1"] + 0.05
    assert measured.loc["postbacks", "precision_low"] > measured.loc["base", "precision_high"]


def test_a_back_fill_finds_more_registrations_without_better_matches(measured):
    assert measured.loc["back_fill", "found"] > measured.loc["base", "found"]
    assert measured.loc["back_fill", "links"] == measured.loc["back_fill", "registrations"]


def test_figures_are_those_of_the_counts(measured):
    row = measured.loc["base"]
    assert row["precision"] == row["right"] / row["matched"]
    assert row["recall"] == row["right"] / row["links"]
    assert 0 < row["right"] <= row["links"] <= row["registrations"]


def test_the_same_seed_gives_the_same_figures_and_another_seed_others():
    change = {"postbacks": CHANGES["postbacks"]}
    first, again, other = (measure_changes(WORLD, BROKER, change, seed) for seed in (4, 4, 5))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


def test_the_model_matches_better_than_the_nearest_conversion():
    figures = compare_matchers(WORLD, BROKER, seed=3).set_index("title")["f1"]
    assert figures["This model"] > figures["Nearest conversion of the country within 20 minutes"]


@pytest.mark.parametrize(("is_named", "partners"), [(True, ["one", "two"]), (False, ["one"])])
def test_two_brokers_with_one_file_are_named_or_one(is_named: bool, partners: list[str]):
    half = replace(BROKER, registration_share=0.4)
    connection, truth = open_world(WORLD, half, 3, replace(half, partner="two"), is_named=is_named)
    with connection:
        found = connection.execute("select distinct partner from broker_rows order by 1").fetchall()
        [(rows, ids)] = connection.execute("select count(*), count(distinct broker_row_id) from broker_rows").fetchall()

    assert [partner for (partner,) in found] == partners
    assert rows == ids == len(truth) == truth["broker_row_id"].nunique()
    assert truth["conversion_id"].dropna().is_unique
