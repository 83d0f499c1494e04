from collections.abc import Iterator

import duckdb
import pandas as pd
import pytest

from quintet.presentation.blocks import Report
from quintet.promotions.findings_report import findings_report
from tests.evidence import checked

DAY = pd.Timedelta(days=1)


def open_snapshot(users: pd.DataFrame, usages: pd.DataFrame) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.register("users", users)
    connection.register("usages", usages)
    connection.execute("""
        create schema marts; create schema ml;
        create table marts.snapshot as select 's1' as snapshot_id, timestamp '2024-06-01' as published_at;
        create table marts.fct_promo_users as select * exclude (decision) from users;
        create table marts.fct_abuse_scores as select user_id, decision from users where decision is not null;
        create table marts.fct_promo_usages as select *, user_id in (select user_id from users) as is_user_known
            from usages;
        create table marts.dim_promo_code as
            select distinct promo_code, discount_type, discount_value, min_purchase_amount from usages;
        create table ml.abuse_model_figures
            (scores_of varchar, measure varchar, value double, low double, high double, n bigint);
    """)
    return connection


def users_of(count: int, *, late_abusers: int = 0, pause_days: int = 0) -> pd.DataFrame:
    """Return honest users, one a day, and abusers after a pause."""
    days = [*range(count), *(count + pause_days + number for number in range(late_abusers))]
    return pd.DataFrame(
        {
            "user_id": [f"u{number}" for number in range(len(days))],
            "created_at": [pd.Timestamp("2022-01-01") + DAY * day for day in days],
            "is_email_verified": True,
            "is_phone_verified": False,
            "is_abuser": [number >= count for number in range(len(days))],
            "decision": ["block" if number >= count else "allow" for number in range(len(days))],
        }
    )


def usages_of(users: list[str], value: float = 5.0) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "user_id": pd.Series(users, dtype="str"),
            "promo_code": "A",
            "used_at": pd.Timestamp("2023-01-01"),
            "discount_type": "fixed_amount",
            "discount_value": value,
            "min_purchase_amount": 10.0,
        }
    )


def texts(report: Report) -> str:
    return " ".join(f"{each.size} {each.text} {each.value}" for each in report.findings)


@pytest.fixture
def abused() -> Iterator[duckdb.DuckDBPyConnection]:
    """Forty honest users, a pause, and eight abusers; one use by a stranger, and a code above its purchase."""
    users = users_of(40, late_abusers=8, pause_days=200)
    connection = open_snapshot(users, usages_of(["u0", "u41", "stranger"], 12.0))
    yield connection
    connection.close()


def test_the_discoveries_are_found_and_their_numbers_are_those_of_their_queries(abused):
    report = findings_report(abused)
    assert "Of the 8 accounts opened since" in texts(report)
    assert "1 use of a code (33% of all) is by users whom no user file contains" in texts(report)
    assert "1 code gives a discount larger than the smallest purchase" in texts(report)
    assert "At least 12 in discounts" in texts(report)
    assert checked(abused, report) == 8


def test_usual_data_has_none_of_them():
    report = findings_report(open_snapshot(users_of(40), usages_of(["u0", "u1"])))
    assert report.findings == ()
    assert report.sections


@pytest.mark.parametrize(("abusers", "pause"), [(8, 10), (0, 200)])
def test_a_short_pause_and_a_pause_without_abusers_are_no_finding(abusers, pause):
    report = findings_report(open_snapshot(users_of(40, late_abusers=abusers, pause_days=pause), usages_of(["u0"])))
    assert "opened since" not in texts(report)


@pytest.mark.parametrize("unknown", ["is_phone_verified", "is_email_verified"])
def test_an_unknown_confirmation_counts_as_none_in_the_text_and_in_the_chart(unknown):
    known = "is_email_verified" if unknown == "is_phone_verified" else "is_phone_verified"
    users = users_of(40, late_abusers=8).assign(**{unknown: None})
    users[known] = ~users["is_abuser"]
    with open_snapshot(users, usages_of(["u0"])) as connection:
        report = findings_report(connection)
    [section] = [one for one in report.sections if one.title.startswith("Abusers confirm")]
    [text, chart] = section.blocks

    assert text.text.startswith("100% of the confirmed abusers have confirmed neither")
    assert chart.figure.alternative == "Abusers are most frequent, 100.0%, where accounts confirmed neither."


def test_without_labels_and_with_a_single_user_the_report_is_made():
    users = users_of(1).assign(is_abuser=pd.Series([None], dtype=object), decision=None)
    report = findings_report(
        open_snapshot(users.astype({"is_abuser": "boolean", "decision": "str"}), usages_of(["u0"]))
    )
    assert report.title.startswith("1 account")


def test_without_data_it_says_how_to_load_some():
    report = findings_report(open_snapshot(users_of(1).head(0), usages_of([])))
    assert report.title == "No users and usages of promo codes yet"
