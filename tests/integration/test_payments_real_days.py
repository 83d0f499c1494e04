"""The detector and the checkout analysis on the two real days."""

from pathlib import Path

import pandas as pd
import pytest

from quintet.payments.backtest import detect_batch
from quintet.payments.checkout import REFERENCES, checkout_anomalies

pytestmark = pytest.mark.real_data

INCIDENTS = {
    "the reversals": ("2024-01-01 14:30", "2024-01-01 18:55"),
    "around midnight": ("2024-01-01 23:47", "2024-01-02 00:18"),
    "the feed gap": ("2024-01-02 00:39", "2024-01-02 01:50"),
    "backend reversals": ("2024-01-02 10:51", "2024-01-02 10:56"),
    "failures": ("2024-01-02 16:14", "2024-01-02 18:51"),
}


@pytest.fixture(scope="module")
def minutes(real_data: Path) -> pd.DataFrame:
    """Return both files in the form of the mart."""
    days = []
    for number in (1, 2):
        rows = pd.read_csv(real_data / "transactions" / f"transactions_{number}.csv")
        rows.columns = ["time", "status", "count"]
        day = pd.Timestamp("2024-01-01") + pd.Timedelta(days=number - 1)
        rows["minute_at"] = day + pd.to_timedelta(rows["time"].str.replace("h ", ":") + ":00")
        wide = rows.pivot_table(index="minute_at", columns="status", values="count", aggfunc="sum")
        days.append(wide.reindex(pd.date_range(day, periods=1_440, freq="min", name="minute_at")))
    wide = pd.concat(days)
    is_observed = wide.notna().any(axis=1)
    dense = wide.fillna(0).astype("int64").melt(ignore_index=False, var_name="status", value_name="count").reset_index()
    return dense.assign(is_observed=dense["minute_at"].map(is_observed))


@pytest.fixture(scope="module")
def incidents(minutes: pd.DataFrame) -> pd.DataFrame:
    return detect_batch(minutes, with_points=False)[1]


def found(incidents: pd.DataFrame, series: str, start: str, end: str) -> pd.DataFrame:
    """Return the incidents of the series that overlap the span."""
    overlaps = (incidents["started_at"] <= pd.Timestamp(end)) & (incidents["ended_at"] > pd.Timestamp(start))
    return incidents[(incidents["series"] == series) & overlaps]


@pytest.mark.parametrize(
    ("series", "start", "end", "tolerance_minutes"),
    [
        ("reversed", "2024-01-01 14:31", "2024-01-01 18:42", 5),
        ("feed", "2024-01-02 00:39", "2024-01-02 01:37", 1),
        ("backend_reversed", "2024-01-02 10:51", "2024-01-02 10:55", 1),
        ("failed", "2024-01-02 16:14", "2024-01-02 18:50", 1),
    ],
)
def test_an_incident_is_found_with_its_start_and_end(
    incidents: pd.DataFrame, series: str, start: str, end: str, tolerance_minutes: int
):
    one = found(incidents, series, start, end)

    assert len(one) == 1
    last_minute = one["ended_at"].iloc[0] - pd.Timedelta(minutes=1)
    assert abs(one["started_at"].iloc[0] - pd.Timestamp(start)) <= pd.Timedelta(minutes=tolerance_minutes)
    assert abs(last_minute - pd.Timestamp(end)) <= pd.Timedelta(minutes=tolerance_minutes)


@pytest.mark.parametrize("start", ["2024-01-02 16:23", "2024-01-02 16:45", "2024-01-02 17:16"])
def test_a_burst_of_denials_is_found(incidents: pd.DataFrame, start: str):
    burst_ends = str(pd.Timestamp(start) + pd.Timedelta(minutes=5))

    assert len(found(incidents, "denied", start, burst_ends)) == 1


def test_the_minutes_around_midnight_are_one_incident_across_two_files(incidents: pd.DataFrame):
    across = found(incidents, "reversed", "2024-01-01 23:58", "2024-01-02 00:12")
    group = incidents[incidents["group_id"] == across["group_id"].iloc[0]]

    assert len(across) == 1
    assert across["started_at"].iloc[0] < pd.Timestamp("2024-01-02") < across["ended_at"].iloc[0]
    assert group["started_at"].min() == pd.Timestamp("2024-01-01 23:47")
    assert group["ended_at"].max() >= pd.Timestamp("2024-01-02 00:13")
    assert {"feed", "reversed", "backend_reversed"} <= set(group["series"])


def test_at_most_one_episode_in_two_days_is_of_no_known_incident(incidents: pd.DataFrame):
    spans = [(pd.Timestamp(start), pd.Timestamp(end)) for start, end in INCIDENTS.values()]
    known = [
        any(start <= end_of_span and end > start_of_span for start_of_span, end_of_span in spans)
        for start, end in zip(incidents["started_at"], incidents["ended_at"], strict=True)
    ]

    assert len(incidents) - sum(known) <= 1


def test_checkout_marks_the_two_outages_and_nothing_else(real_data: Path):
    files = []
    for number in (1, 2):
        rows = pd.read_csv(real_data / "checkout_sales" / f"checkout_{number}.csv")
        rows.columns = ["time", "today", *REFERENCES]
        files.append(rows.assign(source_file=f"checkout_{number}.csv", hour=rows["time"].str[:2].astype(int)))
    result = checkout_anomalies(pd.concat(files))
    marked = result[result["is_anomalous"]].groupby("source_file")["hour"].agg(list).to_dict()

    assert marked == {"checkout_1.csv": [8, 9], "checkout_2.csv": [15, 16, 17]}
    morning = result[(result["source_file"] == "checkout_2.csv") & (result["hour"] == 8)].iloc[0]
    assert "stands out against yesterday (0)" in morning["reason"]
