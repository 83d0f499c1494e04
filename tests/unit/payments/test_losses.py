"""Expected losses: values of payments from settings and amounts, severity, sentences."""

from __future__ import annotations

import datetime as dt

import pytest

from quintet.payments import store as payment_store
from quintet.payments.incidents import CRITICAL, FEED, VOLUME, WARNING, Point, severity_by_share
from quintet.payments.items import Item
from quintet.payments.losses import LEAST_PAYMENTS, Losses, losses_of, record_amounts, with_amounts
from quintet.payments.monitor import Monitor
from quintet.payments.settings import parse_values
from quintet.settings import load_settings
from quintet.state.store import StateStore
from tests.unit.payments.incidents import incident
from tests.unit.payments.minutes import FIRST, LATER, START, minute_of, quiet_hours

SET = Losses(2.0, {"denied": 35.0}, {"approved": 50.0}, 3_000.0)


def point(series: str, observed: int, expected: float, window: int = 5, score: float = 9.0) -> Point:
    return Point(series, 0, score, expected, observed, window, observed, 0.0, 0.0, 1_000, "rule", True)


@pytest.mark.parametrize(
    ("one", "per_hour"),
    [
        (point("denied", 60, 10), 50 * 35 * 12),
        (point("failed", 60, 10), 50 * 2 * 12),
        (point(VOLUME, 10, 60), 50 * 50 * 12),
        (point(FEED, 0, 90, 3), 90 * 50 * 20),
        (point("denied", 5, 10), 0),
        (point(VOLUME, 60, 10), 0),
    ],
)
def test_the_loss_is_what_is_affected_at_the_value_of_its_series(one: Point, per_hour: float) -> None:
    assert SET.per_hour(one) == pytest.approx(per_hour)


def test_severity_follows_the_loss_and_not_the_probability() -> None:
    certain_and_cheap, unlikely_and_dear = point("refunded", 120, 10, score=200.0), point("denied", 20, 10, score=6.1)

    assert severity_by_share(certain_and_cheap) == CRITICAL
    assert SET.severity(certain_and_cheap) == WARNING
    assert severity_by_share(unlikely_and_dear) == WARNING
    assert SET.severity(unlikely_and_dear) == CRITICAL


def test_without_a_limit_severity_is_by_share() -> None:
    free = Losses()

    assert [free.severity(point("denied", count, 10, score=30.0)) for count in (20, 200)] == [WARNING, CRITICAL]
    assert free.in_words(incident()) == ""


def test_a_sentence_says_the_loss_the_value_and_the_limit() -> None:
    assert SET.in_words(incident()) == (
        "Expected loss: 21,000 an hour if it goes on, at 35.00 a payment; critical from 3,000 an hour."
    )
    assert Losses(by_series={"denied": 1.5}).in_words(incident()) == (
        "Expected loss: 900 an hour if it goes on, at 1.50 a payment."
    )


def test_values_are_read_from_the_settings() -> None:
    found = losses_of(
        load_settings({"QUINTET_PAYMENTS_CRITICAL_LOSS": "500", "QUINTET_PAYMENTS_VALUES": "denied 35, my status 2.5"})
    )

    assert (found.default, found.by_series, found.critical_per_hour) == (1.0, {"denied": 35.0, "my status": 2.5}, 500.0)


@pytest.mark.parametrize("text", ["denied", "35", "denied 1, denied 2", "denied -1", "denied inf", "denied nan", ","])
def test_values_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_values(text)


def test_the_mean_amount_of_the_last_week_is_the_value_of_a_series_that_has_none(store: StateStore) -> None:
    old = FIRST - 9 * 1_440
    with store.write() as connection:
        record_amounts(connection, [Item(old, "denied", LEAST_PAYMENTS, amount=9_000.0)])
        record_amounts(connection, [Item(FIRST, "denied", LEAST_PAYMENTS, amount=60.0), Item(FIRST, "denied", 5)])
        record_amounts(connection, [Item(FIRST, "failed", LEAST_PAYMENTS - 1, amount=900.0)])
    found = with_amounts(Losses(7.0), store, START)

    assert (found.value_of("denied"), found.value_of("failed")) == (2.0, 7.0)
    assert with_amounts(Losses(7.0, {"denied": 3.0}), store, START).value_of("denied") == 3.0
    assert found.is_set
    assert not with_amounts(Losses(), store, START + dt.timedelta(days=30)).is_set


def test_a_monitor_judges_severity_by_the_loss_also_after_a_restart(store: StateStore) -> None:
    dear = Losses(critical_per_hour=1e9)
    Monitor(store, losses=dear).take(quiet_hours(60), LATER)
    Monitor(store, losses=dear).take([minute_of(60 + number, denied=70) for number in range(4)], LATER)

    assert {one.fields["severity"] for one in payment_store.incidents(store)} == {WARNING}
