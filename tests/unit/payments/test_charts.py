"""The payments figures: gaps stay gaps, incidents are clipped to the time shown, sentences have the main number."""

from __future__ import annotations

import pandas as pd

from quintet.payments.charts import chart_rows, checkout_figure, evaluation_figure, series_figure
from quintet.payments.checkout import REFERENCES
from quintet.payments.evaluation import SUMMARY_COLUMNS

NOON = pd.Timestamp("2024-01-01 12:00")


def at(minute: int) -> pd.Timestamp:
    return NOON + pd.Timedelta(minutes=minute)


def points(*minutes: int, series: str = "denied") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "series": series,
            "minute_at": [at(minute) for minute in minutes],
            "minute_count": [10 + minute for minute in minutes],
            "lower": 4.0,
            "upper": 16.0,
            "score": 0.0,
            "is_anomalous": [minute == 8 for minute in minutes],
            "reason": None,
        }
    )


def incidents(*spans: tuple[int, int | None], series: str = "denied", state: str = "resolved") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "series": series,
            "state": state,
            "started_at": [at(start) for start, _ in spans],
            "ended_at": pd.to_datetime([None if end is None else at(end) for _, end in spans]),
        }
    )


def test_a_minute_without_rows_is_a_gap_and_zero_is_a_point() -> None:
    rows = chart_rows(points(0, 1, 3), incidents())

    assert [row["n"] for row in rows] == [10, 11, None, 13]
    assert rows[2]["lo"] is None


def test_minutes_of_an_incident_are_marked_also_while_it_lasts() -> None:
    rows = chart_rows(points(0, 1, 2, 3), incidents((-5, 1), (3, None)))

    assert [row["inside"] for row in rows] == [True, False, False, True]


def test_a_series_says_its_last_minute_and_its_incidents() -> None:
    both = pd.concat([incidents((7, 9)), incidents((7, 9), series="failed"), incidents((1, 2), state="withdrawn")])
    figure = series_figure(points(*range(10)), both, "denied")

    assert figure.alternative == "19 denied at 12:09 UTC, 4 to 16 expected; 1 incident from 12:00 to 12:09 UTC."
    assert figure.spec()["data"]["name"] == "points"


def test_a_day_ends_with_its_last_minute_and_several_days_have_dates() -> None:
    day = series_figure(points(*range(-720, 720)), incidents((7, 9)), "denied")
    more = series_figure(points(*range(-720, 721)), incidents((7, 9)), "denied")

    assert day.alternative.endswith("1 incident from 00:00 to 23:59 UTC.")
    assert more.alternative.endswith("1 incident from 2024-01-01 00:00 to 2024-01-02 00:00 UTC.")


def test_a_day_is_drawn_in_few_points_that_lose_no_alert_and_no_incident() -> None:
    figure = series_figure(points(*range(-720, 720)), incidents((7, 9)), "denied")
    rows = figure.spec()["data"]["values"]

    assert len(rows) == 144
    assert "mean of 10 minutes" in figure.note
    assert len(figure.table) == 1_440
    (marked,) = [row for row in rows if row["inside"]]
    assert marked["alert"]
    assert marked["n"] == 14.5  # 12:00 to 12:09
    assert "mean" not in series_figure(points(*range(180)), incidents((7, 9)), "denied").note


def test_a_series_without_points_says_what_to_do() -> None:
    figure = series_figure(points().astype({"minute_at": "datetime64[us]"}), incidents(), "denied")

    assert figure.chart is None
    assert "Send transactions" in figure.note


def test_a_checkout_day_marks_anomalous_hours() -> None:
    hours = pd.DataFrame({"source_file": "a.csv", "hour": range(24), "today": 20, **dict.fromkeys(REFERENCES, 20.0)})
    hours = hours.assign(expected=20.0, p_value=0.5, is_anomalous=hours["hour"] == 9, reason=None)
    hours.loc[9, "today"] = 0

    assert checkout_figure(hours, "a.csv").alternative == ("460 sales; 1 of 24 hours anomalous: 09h.")
    assert checkout_figure(hours.assign(is_anomalous=False), "a.csv").alternative.endswith("no hour is anomalous.")
    assert checkout_figure(hours, "b.csv").chart is None


def test_the_comparison_of_detectors_says_how_this_one_does() -> None:
    rows = [
        ("gamma_poisson", "all", 10, 25, 24, 0.96, 1, 0.1, 2.0, 9.0),
        ("robust_z", "all", 10, 25, 20, 0.8, 4, 0.4, 2.0, 30.0),
        ("gamma_poisson", "volume", 10, 9, 9, 1.0, 0, 0.0, 2.0, 2.0),
    ]
    figure = evaluation_figure(pd.DataFrame(rows, columns=SUMMARY_COLUMNS))

    assert figure.alternative == (
        "This detector finds 24 of 25 incidents in 10 days, with 0.1 false episodes a day "
        "and a median delay of 2 minutes."
    )
    assert figure.table["detector"].tolist() == ["this detector", "robust z"]
    assert evaluation_figure(pd.DataFrame(columns=SUMMARY_COLUMNS)).chart is None


def test_the_worst_of_other_kinds_of_businesses_is_named():
    rows = [
        ("gamma_poisson", scope, 28, 40, 39, recall, 1, false, 2.0, 10.0)
        for scope, recall, false in (("all", 0.98, 0.1), ("closes at night", 0.97, 0.07), ("has pay days", 0.91, 0.03))
    ]
    sentence = evaluation_figure(pd.DataFrame(rows, columns=SUMMARY_COLUMNS)).alternative

    assert "recall is lowest where one has pay days (91%)" in sentence
    assert "most frequent where one closes at night (0.07 a day)" in sentence
