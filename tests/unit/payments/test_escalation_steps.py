"""The steps of an escalation: their text, their minutes, their hours."""

from __future__ import annotations

import datetime as dt

import pytest

from quintet.payments.escalation_steps import AT_ONCE, parse_escalation

CHANNELS = ("teams", "webhook", "email", "apprise")
MONDAY_NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
NONE = dt.timedelta()
TEXT = "Teams | email after 10 | apprise after 30 during mon-fri 18:00-08:00; sat-sun 00:00-24:00"


def minutes(number: int) -> dt.timedelta:
    return dt.timedelta(minutes=number)


@pytest.mark.parametrize(
    ("waited", "at", "reached"),
    [
        (0, MONDAY_NOON, ["teams", "webhook"]),
        (9, MONDAY_NOON, ["teams", "webhook"]),
        (10, MONDAY_NOON, ["teams", "webhook", "email"]),
        (90, MONDAY_NOON, ["teams", "webhook", "email"]),
        (30, MONDAY_NOON.replace(hour=22), list(CHANNELS)),
        (29, MONDAY_NOON.replace(hour=22), ["teams", "webhook", "email"]),
        (30, MONDAY_NOON.replace(day=7), list(CHANNELS)),  # a Saturday
    ],
)
def test_a_channel_is_reached_after_its_minutes_in_its_hours(waited: int, at: dt.datetime, reached: list[str]) -> None:
    assert parse_escalation(TEXT, CHANNELS).reached(CHANNELS, minutes(waited), at) == reached


def test_hours_follow_the_zone() -> None:
    at_six_in_the_evening = MONDAY_NOON.replace(hour=17, minute=30)
    steps = "apprise during mon-fri 18:00-08:00"

    assert parse_escalation(steps, CHANNELS, "Europe/Berlin").reached(["apprise"], NONE, at_six_in_the_evening)
    assert not parse_escalation(steps, CHANNELS, "UTC").reached(["apprise"], NONE, at_six_in_the_evening)


def test_only_channels_with_minutes_or_hours_may_be_later() -> None:
    escalation = parse_escalation(TEXT, CHANNELS)

    assert escalation.later(CHANNELS, minutes(60), MONDAY_NOON) == ["email"]
    assert AT_ONCE.later(CHANNELS, minutes(60), MONDAY_NOON) == []
    assert AT_ONCE.reached(CHANNELS, NONE, MONDAY_NOON) == list(CHANNELS)
    assert escalation.unknown(["teams"]) == ["email", "apprise"]


@pytest.mark.parametrize(
    "text",
    ["sms after 5", "email after", "email 5", "email | email after 5", "email after 9999", "email during someday", "|"],
)
def test_another_text_is_refused_with_its_step(text: str) -> None:
    with pytest.raises(ValueError, match=r"no step|one step|no day|no span"):
        parse_escalation(text, CHANNELS)


def test_no_text_is_no_escalation() -> None:
    assert parse_escalation(" ", CHANNELS) == AT_ONCE
