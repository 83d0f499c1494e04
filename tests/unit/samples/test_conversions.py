"""Conversions and broker rows have the quirks of the real data, and their truth is correct."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from quintet.conversions.countries import canonicalise
from quintet.samples.conversions import BrokerWorld, sample_of
from quintet.samples.conversions_site import ConversionsWorld, country_weights
from quintet.samples.countries import ISO2, SPELLINGS
from quintet.samples.sample import Sample

SITE = ConversionsWorld(conversions=20_000)


def _rows(sample: Sample, name: str) -> pd.DataFrame:
    return next(file.rows for file in sample.files if file.name == name)


def _linked(sample: Sample, broker_file: str = "broker_one.csv") -> pd.DataFrame:
    """Return the broker rows with their truth and the conversion that each came from."""
    rows = _rows(sample, broker_file).reset_index(drop=True)
    truth = sample.truth["broker_rows"]
    truth = truth[truth["broker_source_file"] == broker_file].set_index("broker_source_row")
    rows.index = pd.RangeIndex(1, len(rows) + 1, name="broker_source_row")
    conversions = _rows(sample, "conversions.csv").drop_duplicates("id").set_index("id")
    linked = rows.join(truth).dropna(subset="conversion_id").join(conversions, on="conversion_id")
    return linked.assign(converted_at=linked["created_at"].astype("int64"))


@pytest.fixture(scope="module")
def sample() -> Sample:
    return sample_of(SITE, [BrokerWorld()], seed=7)


def test_every_linked_row_is_its_conversion_plus_lag(sample: Sample):
    linked = _linked(sample)

    assert len(linked) > 10_000
    assert (linked["timestamp"] == linked["converted_at"] + linked["lag_seconds"]).all()


def test_a_truth_that_is_off_by_one_row_does_not_fit(sample: Sample):
    linked = _linked(sample)

    assert (linked["timestamp"] == linked["converted_at"].shift() + linked["lag_seconds"].shift()).mean() < 0.05


def test_a_conversion_has_one_row_at_most(sample: Sample):
    assert sample.truth["broker_rows"]["conversion_id"].dropna().is_unique


def test_every_broker_row_has_its_truth(sample: Sample):
    truth = sample.truth["broker_rows"]

    assert truth["broker_source_row"].tolist() == list(range(1, len(_rows(sample, "broker_one.csv")) + 1))
    assert truth["conversion_id"].isna().eq(truth["kind"].isin(["organic", "repeat"])).all()


def test_an_ip_of_another_country_is_marked_and_all_others_match_the_conversion(sample: Sample):
    linked = _linked(sample)
    same = linked["country_name"].map(dict(zip(SPELLINGS["site"], ISO2, strict=True))).eq(linked["ip_iso2"])

    assert same.eq(linked["kind"] == "click").all()
    assert 0.01 < (~same).mean() < 0.05


def test_lags_of_seconds_are_those_of_the_real_link(sample: Sample):
    share = _linked(sample)["lag_seconds"].value_counts(normalize=True)

    assert set(share.index) <= set(range(6))
    assert share[0] == pytest.approx(0.479, abs=0.02)
    assert share[1] == pytest.approx(0.437, abs=0.02)


def test_a_slow_partner_has_lognormal_lags():
    slow = sample_of(SITE, [BrokerWorld(lag_model="lognormal")], seed=7)
    lag = _linked(slow)["lag_seconds"].astype("float64")

    assert lag.median() == pytest.approx(360, rel=0.08)
    assert np.log(lag[lag > 0]).std() == pytest.approx(1.2, rel=0.08)


def test_a_broker_clock_is_ahead_by_its_offset_and_by_another_after_its_change():
    broker = BrokerWorld(clock_offset_seconds=7_200, clock_changes_after_days=40, changed_offset_seconds=3_600)
    changed = sample_of(SITE, [broker], seed=7)
    linked = _linked(changed)
    ahead = (linked["timestamp"] - linked["converted_at"] - linked["lag_seconds"]).astype("int64")
    clocks = changed.truth["broker_clocks"]

    assert set(ahead) == {7_200, 3_600}
    assert clocks["offset_seconds"].tolist() == [7_200, 3_600]
    change = clocks["from_at"].iloc[1].timestamp()
    true_at = linked["converted_at"] + linked["lag_seconds"]
    assert ahead.eq(7_200).eq(true_at < change).all()


def test_partners_share_no_conversion():
    one, two = (
        BrokerWorld(registration_share=0.6),
        BrokerWorld(partner="two", registration_share=0.3, ip_spelling="site"),
    )
    both = sample_of(SITE, [one, two], seed=7)

    assert both.truth["broker_rows"]["conversion_id"].dropna().is_unique
    assert len(_rows(both, "broker_one.csv")) > len(_rows(both, "broker_two.csv")) > 3_000


def test_partners_that_need_too_many_conversions_are_refused():
    with pytest.raises(ValueError, match="above 1"):
        sample_of(SITE, [BrokerWorld(), BrokerWorld(partner="two")], seed=7)


def test_the_conversions_do_not_depend_on_the_brokers(sample: Sample):
    alone = sample_of(SITE, [], seed=7)

    pd.testing.assert_frame_equal(_rows(alone, "conversions.csv"), _rows(sample, "conversions.csv"))
    assert not alone.truth


def test_west_bank_conversions_are_repeated_as_gaza_strip(sample: Sample):
    rows = _rows(sample, "conversions.csv")
    repeated = rows[rows["id"].duplicated(keep=False)]

    assert rows["id"].nunique() == SITE.conversions
    assert set(repeated["country_name"]) == {"West Bank", "Gaza Strip"}
    assert not (rows["country_name"] == "Palestine").any()


def test_conversions_are_in_order_of_time_within_their_days(sample: Sample):
    at = _rows(sample, "conversions.csv")["created_at"]

    assert at.is_monotonic_increasing
    assert at.iloc[0].date() == date(2024, 4, 1)
    assert at.iloc[-1].date() == date(2024, 5, 30)


def test_the_load_has_a_night_and_a_weekend(sample: Sample):
    at = _rows(sample, "conversions.csv")["created_at"]
    by_hour = at.dt.hour.value_counts()
    by_day = at.dt.day_of_week.value_counts()

    assert by_hour[14] > 1.8 * by_hour[2]
    assert by_day[1] > 1.2 * by_day[6]


def test_scanner_payloads_with_delimiters_and_quotes_are_among_the_cells(sample: Sample):
    rows = _rows(sample, "conversions.csv")
    for column in ("ui_element", "measurement_category"):
        hit = rows[column].dropna().str.contains('[;"]')
        assert 1 <= hit.sum() < 20


def test_some_elements_are_empty_and_some_codes_unmapped(sample: Sample):
    rows = _rows(sample, "conversions.csv")
    known = set(_rows(sample, "page_categories.csv")["measurement_category"])
    unmapped = rows.loc[~rows["measurement_category"].isin(known), "measurement_category"]

    assert 0.001 < rows["ui_element"].isna().mean() < 0.004
    assert 0.06 < len(unmapped) / len(rows) < 0.1
    assert {"01safety/02isscam/03notrel", "01safety/02issafe/03notrel"} <= set(unmapped)


def test_broker_rows_have_the_quirks_of_the_source(sample: Sample):
    rows = _rows(sample, "broker_one.csv")

    assert rows["timestamp"].is_monotonic_increasing
    assert rows["country_residency"].isna().mean() == pytest.approx(0.86, abs=0.02)
    assert (rows["important_score"] == "#REF!").mean() == pytest.approx(0.0065, abs=0.003)
    assert (rows["important_score"] == "0").mean() == pytest.approx(0.969, abs=0.01)
    assert rows["ip_country"].str.startswith(" ").sum() > 5
    assert rows.duplicated().sum() > 10


def test_montenegro_has_broker_rows_and_no_conversion(sample: Sample):
    assert "Montenegro" not in set(_rows(sample, "conversions.csv")["country_name"])
    assert (_rows(sample, "broker_one.csv")["ip_country"] == "Montenegro").any()


def test_without_misspelling_every_country_is_in_its_spelling_set():
    broker = BrokerWorld(misspelt_share=0, leading_space_share=0, dash_share=0)
    clean = _rows(sample_of(SITE, [broker], seed=7), "broker_one.csv")["ip_country"]
    poor = _rows(sample_of(SITE, [replace(broker, misspelt_share=0.2)], seed=7), "broker_one.csv")["ip_country"]

    assert set(clean.dropna()) <= set(SPELLINGS["ip"])
    assert (~poor.dropna().isin(SPELLINGS["ip"])).mean() == pytest.approx(0.2, abs=0.02)


def test_the_three_spelling_sets_name_the_same_countries():
    for names in SPELLINGS.values():
        found = canonicalise(names).set_index("spelling")["country_iso2"]
        assert found.loc[list(names)].tolist() == list(ISO2)


def test_the_three_spelling_sets_differ_where_the_sources_do():
    spelt = {name: dict(zip(ISO2, names, strict=True)) for name, names in SPELLINGS.items()}

    assert [spelt[name]["US"] for name in spelt] == ["United States", "United States", "United States of America"]
    assert len({spelt[name]["CI"] for name in spelt}) == 3


def test_there_are_214_countries_with_conversions_and_few_of_them_have_most():
    weights = country_weights()

    assert (weights > 0).sum() == 214
    assert weights.sum() == pytest.approx(1)
    assert weights[:10].sum() > 0.4


def test_bots_come_in_bursts_and_have_no_broker_rows():
    world = ConversionsWorld(conversions=4_000, days=10, bot_bursts=5)
    sample = sample_of(world, [BrokerWorld(opens_after_days=0, closes_after_days=10, registration_share=1)], seed=1)
    conversions = next(file.rows for file in sample.files if file.dataset == "conversions").drop_duplicates("id")
    linked = set(sample.truth["broker_rows"]["conversion_id"].dropna())
    without = conversions[~conversions["id"].isin(linked)]
    by_ten_minutes = without["created_at"].dt.floor("20min").value_counts()
    assert len(without) == 5 * round(20 * 4_000 * 600 / (10 * 86_400))
    assert by_ten_minutes.head(10).sum() == len(without)


def test_an_outage_leaves_hours_without_rows_and_a_lag_by_country_moves_the_medians():
    conversions = ConversionsWorld(conversions=6_000, days=10)
    plain = {"opens_after_days": 0, "closes_after_days": 10, "lag_model": "lognormal", "organic_share": 0.0}
    steady, other = (
        sample_of(conversions, [BrokerWorld(**plain, **more)], seed=1).truth["broker_rows"]
        for more in ({}, {"outages": 4, "lag_country_sigma": 1.0})
    )
    assert 0.85 * len(steady) < len(other) < 0.98 * len(steady)
    spread = [
        rows.groupby("ip_iso2")["lag_seconds"].agg(["median", "size"]).query("size > 100")["median"].astype(float)
        for rows in (steady, other)
    ]
    assert spread[1].std() > 3 * spread[0].std()


def test_few_countries_are_the_busiest():
    sample = sample_of(ConversionsWorld(conversions=2_000, days=5, countries=3), [], seed=1)
    conversions = next(file.rows for file in sample.files if file.dataset == "conversions")
    assert set(conversions["country_name"]) == {"United States", "United Kingdom", "Germany"}
