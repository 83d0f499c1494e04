"""Checkout hours against references that may be bad themselves."""

import numpy as np
import pandas as pd
import pytest

from quintet.payments.checkout import COLUMNS, REFERENCES, _against, _StandingOut, checkout_anomalies
from quintet.payments.opening_hours import opening_hours
from quintet.samples.payments import PaymentsWorld, make_sample

SHAPE = [5, 2, 1, 0, 0, 1, 2, 5, 10, 18, 28, 28, 26, 24, 25, 28, 26, 22, 18, 18, 19, 18, 16, 9]


def day(**changed: dict[int, float]) -> pd.DataFrame:
    """Return a usual day; changed: values by hour, by column."""
    file = pd.DataFrame({"source_file": "checkout_1.csv", "hour": range(24), "today": SHAPE})
    for column in REFERENCES:
        file[column] = np.array(SHAPE, dtype=float)
    for column, values in changed.items():
        file.loc[list(values), column] = list(values.values())
    return file


def standing_out(
    names: list[str], others: tuple[float, float] | None, *, is_bad_reference: bool = False
) -> _StandingOut:
    return _StandingOut([(name, 3.0) for name in names], others, is_bad_reference)


def marked(file: pd.DataFrame) -> list[int]:
    result = checkout_anomalies(file)
    return result.loc[result["is_anomalous"], "hour"].tolist()


def test_a_usual_day_is_not_marked():
    result = checkout_anomalies(day())

    assert list(result.columns) == COLUMNS
    assert not result["is_anomalous"].any()
    assert result["reason"].isna().all()


def closed_on_this_weekday(hours: range, **changed: dict[int, float]) -> pd.DataFrame:
    """Return a day with hours without sales today and a week ago; the means have six such weekdays with sales."""
    none = dict.fromkeys(hours, 0)
    of_mean = {hour: SHAPE[hour] * 6 / 7 for hour in hours}
    return day(
        **{"today": none, "same_day_last_week": none, "avg_last_week": of_mean, "avg_last_month": of_mean, **changed}
    )


@pytest.mark.parametrize("hours", [range(14, 24), range(10), range(13, 16), range(23, 24), range(24)])
def test_hours_that_are_closed_on_one_weekday_are_not_marked(hours: range):
    result = checkout_anomalies(closed_on_this_weekday(hours))

    assert not result["is_anomalous"].any()
    assert (
        result.loc[hours[0], "reason"] == f"{hours[0]:02d}h: closed, by the settings or as on the same day last week."
    )


@pytest.mark.parametrize(
    ("file", "outage"),
    [
        # last week was an outage that lasted longer than today's
        (closed_on_this_weekday(range(12, 17), today={12: 26, 13: 24, 14: 0, 15: 0, 16: 26}), [14, 15]),
        # the column is empty
        (day(today={15: 0, 16: 0}, same_day_last_week=dict.fromkeys(range(24), 0)), [15, 16]),
        # an hour alone
        (closed_on_this_weekday(range(15, 16)), [15]),
        # an outage before the shop closes
        (closed_on_this_weekday(range(18, 24), today=dict.fromkeys(range(15, 24), 0)), [15, 16, 17]),
    ],
)
def test_an_outage_is_marked_although_last_week_had_hours_without_sales(file: pd.DataFrame, outage: list[int]):
    assert marked(file) == outage


@pytest.mark.parametrize(
    ("weekly", "holidays", "file_date", "is_marked"),
    [
        ("mon-sat 08:00-24:00; sun 08:00-14:00", "", "2026-11-29", False),
        ("mon-sat 08:00-24:00; sun 08:00-14:00", "", "2026-11-28", True),
        ("mon-sat 08:00-24:00; sun 08:00-14:00", "", None, True),
        ("mon-sun 00:00-14:00", "", None, False),
        ("", "12-25", "2026-12-25", False),
        ("", "", "2026-12-25", True),
    ],
)
def test_hours_that_are_set_as_closed_are_not_marked(
    weekly: str, holidays: str, file_date: str | None, is_marked: bool
):
    file = day(today=dict.fromkeys(range(14, 24), 0)).assign(file_date=pd.to_datetime(file_date))
    result = checkout_anomalies(file, opening_hours("UTC", weekly, holidays))

    assert result["is_anomalous"].any() == is_marked


def test_an_outage_is_marked_with_a_reason():
    result = checkout_anomalies(day(today={15: 0, 16: 0, 17: 0}))
    found = result[result["is_anomalous"]]

    assert found["hour"].tolist() == [15, 16, 17]
    assert (found["direction"] == "low").all()
    assert found["reason"].str.contains("no sales where about").all()


@pytest.mark.parametrize("column", REFERENCES)
@pytest.mark.parametrize("value", [0.0, 500.0])
def test_one_bad_column_neither_marks_an_hour_nor_hides_one(column: str, value: float):
    poison = dict.fromkeys((9, 10, 11), value)

    assert marked(day(**{column: poison})) == []
    assert marked(day(**{column: poison}, today={10: 0, 11: 0})) == [10, 11]


def test_an_anomalous_yesterday_is_explained():
    reason = checkout_anomalies(day(yesterday={8: 0, 9: 0}))["reason"]

    assert reason[9] == (
        "09h: 18 sales where about 18.0 were expected (p = 1): not marked. It stands out against yesterday (0) alone, "
        "which is anomalous beside the other references."
    )


def test_an_hour_above_every_reference_does_not_stand_out_against_one_alone():
    """As in a real file: 25 sales where yesterday had none, and the others 3.7 to 12."""
    others = {"same_day_last_week": {8: 12}, "avg_last_week": {8: 3.71}, "avg_last_month": {8: 9.82}}
    reason = checkout_anomalies(day(today={8: 25}, yesterday={8: 0}, **others))["reason"][8]

    assert "stands out against yesterday (0); the other references give 3.7 to 12.0 at the level of today." in reason
    assert "alone" not in reason
    assert "usual" not in reason


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (standing_out(["yesterday"], (20.0, 30.0)), "It stands out against yesterday (3) alone."),
        (
            standing_out(["yesterday"], (20.0, 30.0), is_bad_reference=True),
            "It stands out against yesterday (3) alone, which is anomalous beside the other references.",
        ),
        (
            standing_out(["yesterday"], (30.0, 30.0)),
            "It stands out against yesterday (3); the other references give 30.0 at the level of today.",
        ),
        (
            standing_out(["yesterday", "avg_last_week"], (20.0, 30.0)),
            "It stands out against yesterday (3) and last week's mean (3); the other references give 20.0 to 30.0 at "
            "the level of today.",
        ),
        (
            standing_out(["yesterday", "avg_last_week"], None),
            "It stands out against yesterday (3) and last week's mean (3), but its references disagree.",
        ),
    ],
)
def test_the_references_are_described_by_their_values(found: _StandingOut, said: str):
    assert _against(25.0, found) == said


def test_a_day_of_more_sales_throughout_is_not_marked():
    assert marked(day().assign(today=np.array(SHAPE) * 2)) == []


def test_hours_that_only_together_are_too_few_are_marked_as_a_run():
    alone = marked(day(today={15: 11}))
    together = marked(day(today={14: 11, 15: 12, 16: 11, 17: 10}))

    assert alone == []
    assert together == [14, 15, 16, 17]


def test_a_rebound_is_explained_and_not_marked_unless_it_is_more_than_was_missing():
    rebound = checkout_anomalies(day(today={10: 0, 11: 0, 12: 76}))
    beyond = checkout_anomalies(day(today={10: 0, 11: 0, 12: 150}))

    assert rebound.loc[rebound["is_anomalous"], "hour"].tolist() == [10, 11]
    assert "a rebound after 10h-11h" in rebound["reason"][12]
    assert beyond.loc[beyond["is_anomalous"], "hour"].tolist() == [10, 11, 12]


def test_an_hour_without_references_has_no_p_value_and_says_so():
    file = day(**{column: {12: np.nan} for column in REFERENCES})
    hour = checkout_anomalies(file).iloc[12]

    assert np.isnan(hour["p_value"])
    assert not hour["is_anomalous"]
    assert hour["reason"] == "The hour has no reference to compare it with."


def test_files_are_judged_apart():
    second = day(today={15: 0, 16: 0}).assign(source_file="checkout_2.csv")
    result = checkout_anomalies(pd.concat([day(), second]))

    assert result.groupby("source_file")["is_anomalous"].sum().tolist() == [0, 2]


def test_no_files_give_an_empty_table():
    assert list(checkout_anomalies(day().iloc[:0]).columns) == COLUMNS


def test_generated_anomalies_are_found_and_little_else(random_seed: int):
    found = missed = false = files = 0
    for seed in range(20):
        sample = make_sample(PaymentsWorld(days=1, checkout_days=2), seed=1_000 * random_seed + seed)
        hours = [
            file.rows.assign(source_file=file.name, hour=range(24))
            for file in sample.files
            if file.dataset == "checkout_sales"
        ]
        result = checkout_anomalies(pd.concat(hours))
        truth = set(sample.truth["checkout_sales"][["source_file", "hour"]].itertuples(index=False, name=None))
        said = set(result.loc[result["is_anomalous"], ["source_file", "hour"]].itertuples(index=False, name=None))
        found, missed, false = found + len(truth & said), missed + len(truth - said), false + len(said - truth)
        files += len(hours)

    assert found / (found + missed) >= 0.9
    assert false / files <= 0.2
