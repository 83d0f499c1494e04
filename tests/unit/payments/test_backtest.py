"""The detector on frames of stored minutes."""

import pandas as pd
import pytest

from quintet.payments.backtest import INCIDENT_COLUMNS, POINT_COLUMNS, detect_batch, minutes_in_order
from quintet.samples.payments import PaymentsWorld, transaction_minutes


@pytest.fixture(scope="module")
def world() -> tuple[pd.DataFrame, pd.DataFrame]:
    return transaction_minutes(PaymentsWorld(days=2, incidents_per_day=0, benign_per_day=0, checkout_days=1), seed=7)


def test_an_incident_runs_across_midnight_and_across_files(world: tuple[pd.DataFrame, pd.DataFrame]):
    minutes, truth = world
    points, incidents = detect_batch(minutes)
    found = incidents[incidents["series"] == truth["series"].iloc[0]]

    assert list(points.columns) == POINT_COLUMNS
    assert list(incidents.columns) == INCIDENT_COLUMNS
    assert len(found) == 1
    assert found["started_at"].iloc[0] < pd.Timestamp("2024-01-02") < found["ended_at"].iloc[0]
    inside = points[points["incident_id"] == found["incident_id"].iloc[0]]
    assert set(inside["series"]) == {truth["series"].iloc[0]}
    assert points.loc[points["is_anomalous"], "reason"].notna().all()


def test_the_order_of_rows_and_a_day_given_twice_change_nothing(world: tuple[pd.DataFrame, pd.DataFrame]):
    minutes, _ = world
    half = minutes[minutes["minute_at"] >= "2024-01-01 20:00"]
    mixed = pd.concat([half, half]).sample(frac=1, random_state=1)

    for one, other in zip(detect_batch(half), detect_batch(mixed), strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_an_hour_that_is_missing_is_a_stale_feed(world: tuple[pd.DataFrame, pd.DataFrame]):
    minutes, _ = world
    gone = minutes["minute_at"].between("2024-01-01 10:00", "2024-01-01 10:59")
    feed = detect_batch(minutes[~gone & (minutes["day"] == minutes["day"].min())], with_points=False)[1].iloc[0]

    assert feed["series"] == "feed"
    assert (feed["started_at"], feed["ended_at"]) == (
        pd.Timestamp("2024-01-01 10:00"),
        pd.Timestamp("2024-01-01 11:00"),
    )


def test_a_zero_equals_no_row_and_starts_no_series():
    minutes = pd.DataFrame(
        {
            "minute_at": pd.to_datetime(["2024-01-01 10:00", "2024-01-01 10:01", "2024-01-01 10:01"]),
            "status": ["approved", "approved", "denied"],
            "count": [5, 6, 1],
            "is_observed": True,
        }
    )

    assert [counts for _, counts, _ in minutes_in_order(minutes)] == [
        {"approved": 5},
        {"approved": 6, "denied": 1},
    ]


def test_no_minutes_give_empty_tables():
    empty = pd.DataFrame({"minute_at": pd.to_datetime([]), "status": [], "count": [], "is_observed": []})
    points, incidents = detect_batch(empty)

    assert (points.empty, incidents.empty) == (True, True)
    assert list(points.columns) == POINT_COLUMNS
