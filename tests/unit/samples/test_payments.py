"""Transactions and checkout sales: shapes, quirks, incidents and their truth."""

import itertools
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from quintet.samples.payments import STATUSES, WORLDS, PaymentsWorld, make_sample, transaction_minutes, usual_rates
from quintet.samples.sample import Sample
from quintet.samples.seeding import generator

WEEKS = PaymentsWorld(days=14, checkout_days=6, last_file_is_dated=True)


@pytest.fixture(scope="module")
def sample() -> Sample:
    return make_sample(WEEKS, seed=7)


def _files(sample: Sample, dataset: str) -> dict[str, pd.DataFrame]:
    return {file.name: file.rows for file in sample.files if file.dataset == dataset}


@pytest.fixture(scope="module")
def counts(sample: Sample) -> pd.DataFrame:
    """Return the count of each status by minute of the undated files; minutes without rows are missing."""
    days = sample.truth["transaction_days"].set_index("source_file")["day"]
    parts = []
    for name, rows in _files(sample, "transactions").items():
        if "time" in rows:
            minute = pd.to_datetime(days[name].isoformat() + " " + rows["time"].str.replace("h ", ":"))
            parts.append(pd.DataFrame({"at": minute, "status": rows["status"], "count": rows.iloc[:, 2]}))
    return pd.concat(parts).pivot_table(index="at", columns="status", values="count", fill_value=0)


def test_files_are_numbered_by_day_and_their_count_columns_alternate(sample: Sample):
    files = _files(sample, "transactions")

    assert list(files) == [f"transactions_{number}.csv" for number in range(1, 15)]
    assert [list(rows.columns)[2] for rows in list(files.values())[:3]] == ["f0_", "count", "f0_"]
    assert sample.truth["transaction_days"]["day"].tolist()[:2] == [date(2024, 1, 1), date(2024, 1, 2)]


def test_rows_are_in_order_of_the_minute_and_never_zero(sample: Sample):
    rows = _files(sample, "transactions")["transactions_1.csv"]

    assert rows["time"].is_monotonic_increasing
    assert not rows.duplicated(["time", "status"]).any()
    assert (rows["f0_"] > 0).all()
    assert rows["time"].str.fullmatch(r"\d\dh \d\d").all()
    assert set(rows["status"]) <= set(STATUSES)


def test_the_later_edition_has_dates_and_is_sorted_by_status_first(sample: Sample):
    rows = _files(sample, "transactions")["transactions_14.csv"]

    assert list(rows.columns) == ["timestamp", "status", "count"]
    assert set(rows["timestamp"].dt.date) == {date(2024, 1, 14)}
    pd.testing.assert_frame_equal(rows, rows.sort_values(["status", "timestamp"]))
    assert not rows["timestamp"].is_monotonic_increasing


def test_by_default_no_file_has_dates():
    files = _files(make_sample(PaymentsWorld(), seed=7), "transactions")

    assert all("time" in rows for rows in files.values())


def test_about_a_hundred_minutes_a_day_have_no_row(counts: pd.DataFrame):
    missing = 1_440 - counts.groupby(counts.index.date).size()

    assert 50 < missing.mean() < 180


def test_the_denied_share_is_higher_by_night():
    rates = pd.DataFrame(usual_rates(date(2024, 1, 1), 7, generator(1, "rates")), columns=STATUSES)
    share = rates["denied"] / (rates["denied"] + rates["approved"])
    hour = rates.index // 60 % 24

    assert share[hour == 12].mean() == pytest.approx(0.095, abs=0.01)
    assert 0.12 < share[hour == 3].mean() < 0.2


def test_the_load_has_days_and_weeks():
    approved = usual_rates(date(2024, 1, 1), 28, generator(1, "rates"))[:, 0].reshape(28, 24, 60).sum(axis=2)

    assert approved[:, 12].mean() > 50 * approved[:, 3].mean()
    assert approved[6::7].sum() < 0.85 * approved[1::7].sum()


def test_there_are_about_as_many_incidents_as_the_world_says():
    world = PaymentsWorld(days=28, checkout_days=1, incidents_per_day=3, benign_per_day=1)
    truth = make_sample(world, seed=7).truth["transactions"]

    assert 50 < truth["is_incident"].sum() <= 110
    assert 12 < (~truth["is_incident"]).sum() < 45


def test_a_world_without_incidents_has_but_the_one_across_midnight():
    world = PaymentsWorld(incidents_per_day=0, benign_per_day=0)
    truth = make_sample(world, seed=7).truth["transactions"]

    assert len(truth) == 1
    assert truth["started_at"].iloc[0] < pd.Timestamp("2024-01-02") < truth["ended_at"].iloc[0]


def test_events_do_not_overlap(sample: Sample):
    truth = sample.truth["transactions"]

    assert (truth["started_at"].to_numpy()[1:] >= truth["ended_at"].to_numpy()[:-1]).all()


def test_every_kind_of_event_has_a_reason(sample: Sample):
    truth = sample.truth["transactions"]

    assert truth["why"].notna().all()
    assert truth["why"].str.startswith("benign").eq(~truth["is_incident"]).all()
    assert set(truth["series"]) <= {*STATUSES, "volume", "feed"}


def _during(counts: pd.DataFrame, event: pd.Series) -> pd.DataFrame:
    end = event["ended_at"] - pd.Timedelta(minutes=1)
    return counts.loc[event["started_at"] : end]


def _events(sample: Sample, kind: str) -> list[pd.Series]:
    truth = sample.truth["transactions"]
    found = truth[(truth["kind"] == kind) & (truth["ended_at"] <= pd.Timestamp("2024-01-14"))]
    assert len(found)
    return [event for _, event in found.iterrows()]


def test_a_silent_feed_has_no_rows(sample: Sample, counts: pd.DataFrame):
    assert all(_during(counts, event).empty for event in _events(sample, "silence"))


def test_the_hour_before_a_silent_feed_has_rows(sample: Sample, counts: pd.DataFrame):
    for event in _events(sample, "silence"):
        before = counts.loc[event["started_at"] - pd.Timedelta(minutes=30) : event["started_at"]]
        assert len(before) >= 28


def test_a_stall_stops_approvals_and_fills_processing(sample: Sample, counts: pd.DataFrame):
    for event in _events(sample, "stall"):
        now, before = _during(counts, event), counts.loc[: event["started_at"] - pd.Timedelta(minutes=1)].tail(30)
        assert now["approved"].mean() < 0.15 * before["approved"].mean()
        assert now["processing"].sum() > before["processing"].sum()


def test_a_surge_multiplies_its_status(sample: Sample, counts: pd.DataFrame):
    for event in _events(sample, "surge"):
        now, before = _during(counts, event), counts.loc[: event["started_at"] - pd.Timedelta(minutes=1)].tail(30)
        assert now[event["series"]].mean() > 1.8 * before[event["series"]].mean()


def test_checkout_yesterday_is_the_file_of_the_day_before(sample: Sample):
    files = list(_files(sample, "checkout_sales").values())

    assert len(files) > 1
    for before, after in itertools.pairwise(files):
        assert after["yesterday"].tolist() == before["today"].tolist()
        assert after["today"].tolist() != before["today"].tolist()


def test_checkout_hours_and_columns_are_those_of_the_source(sample: Sample):
    rows = _files(sample, "checkout_sales")["checkout_1.csv"]

    assert rows["time"].tolist() == [f"{hour:02d}h" for hour in range(24)]
    assert list(rows.columns[1:]) == ["today", "yesterday", "same_day_last_week", "avg_last_week", "avg_last_month"]


def test_anomalous_checkout_hours_are_far_from_expected_and_in_the_truth(sample: Sample):
    truth = sample.truth["checkout_sales"]
    files = _files(sample, "checkout_sales")
    written = [files[name]["today"].iloc[hour] for name, hour in zip(truth["source_file"], truth["hour"], strict=True)]

    assert written == truth["observed"].tolist()
    outage = truth["kind"] == "outage"
    assert (truth["observed"] < 0.5 * truth["expected"])[outage].all()
    assert (truth["observed"] > 1.5 * truth["expected"])[~outage].all()
    assert outage.any()
    assert (~outage).any()


def test_usual_checkout_hours_are_near_their_monthly_mean(sample: Sample):
    truth = sample.truth["checkout_sales"]
    rows = pd.concat(_files(sample, "checkout_sales"), names=["source_file", "hour"])
    usual = rows.drop(pd.MultiIndex.from_frame(truth[["source_file", "hour"]]))

    assert np.corrcoef(usual["today"], usual["avg_last_month"])[0, 1] > 0.85


def test_the_minutes_are_those_of_the_files(sample: Sample, counts: pd.DataFrame):
    minutes, truth = transaction_minutes(WEEKS, seed=7)
    observed = minutes[minutes["is_observed"] & (minutes["minute_at"] < pd.Timestamp("2024-01-14"))]
    wide = observed.pivot(index="minute_at", columns="status", values="count")

    assert len(minutes) == 14 * 1_440 * len(STATUSES)
    assert (wide.to_numpy() == counts[wide.columns].to_numpy()).all()
    pd.testing.assert_frame_equal(truth, sample.truth["transactions"])


def test_holidays_and_quiet_nights_have_less_traffic_and_are_no_incidents():
    world = PaymentsWorld(days=14, incidents_per_day=0, benign_per_day=0, holidays=1, quiet_nights=1, checkout_days=1)
    minutes, truth = transaction_minutes(world, seed=7)
    approved = minutes[minutes["status"] == "approved"].set_index("minute_at")["count"]
    unusual = truth[truth["kind"].isin(["holiday", "quiet_night"])]

    assert sorted(unusual["kind"]) == ["holiday", "quiet_night"]
    assert not unusual["is_incident"].any()
    for _, event in unusual.iterrows():
        now = approved.loc[event["started_at"] : event["ended_at"] - pd.Timedelta(minutes=1)]
        other_days = approved[approved.index.time < max(now.index.time)].groupby(lambda at: at.date()).sum()
        assert now.sum() < 0.7 * other_days.median()


def test_a_world_without_days_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        make_sample(PaymentsWorld(days=0), seed=7)


@pytest.mark.parametrize("name", WORLDS)
def test_a_business_of_another_kind_has_rows_only_while_it_is_open(name: str):
    world = replace(WORLDS[name], days=15)
    minutes, truth = transaction_minutes(world, 3)
    at = minutes["minute_at"]
    hour, is_rest = at.dt.hour + at.dt.minute / 60, at.dt.dayofweek.isin(world.rest_days)
    most = max(0.5, 4 * world.hours_vary_minutes / 60)
    is_closed = is_rest | (hour < world.opens - most) | (hour >= world.closes + most)
    is_open = ~is_rest & hour.between(world.opens + most, world.closes - most)
    if world.pause is not None:
        begins, ends = world.pause
        is_closed |= hour.between(begins + most, ends - most)

    assert not minutes.loc[is_closed, "count"].any()
    assert minutes.loc[is_open & (hour >= 8), "count"].any()
    assert truth["is_incident"].sum() >= 10


def test_where_a_business_closes_some_outages_last_over_the_opening():
    world = WORLDS["closes at night"]
    _, truth = transaction_minutes(world, 3)
    at_opening = truth[(truth["kind"] == "silence") & (truth["started_at"].dt.hour.isin([7, 8]))]

    assert len(at_opening) >= 3
