"""Businesses that close: no incident while they are closed, and one at once where they should be open."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from copy import deepcopy
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from quintet.payments import closing_times as closing_times_module
from quintet.payments.closing_times import ClosingTimes
from quintet.payments.detector import Detector
from quintet.payments.incidents import FEED, VOLUME, WITHDRAWN, Incident, to_datetime, to_minute
from quintet.payments.opening_hours import LEARNED, OpeningHours, opening_hours

MONDAY = to_minute(datetime(2024, 3, 4))
DAY = 1_440
Open = Callable[[int], bool]
"""Whether the business is open, by the minute since the first Monday."""


def by_day(number: int) -> bool:
    return 8 * 60 <= number % DAY < 22 * 60


def not_on_sunday(number: int) -> bool:
    return by_day(number) and number // DAY % 7 != 6


def always(_: int) -> bool:
    return True


def closing_times(days: float, is_open: Open, hours: OpeningHours = LEARNED) -> ClosingTimes:
    """Return what so many days taught, without the rest of the detector."""
    found = ClosingTimes(hours)
    minutes = int(days * DAY)
    counts = np.array([60.0 * is_open(number) for number in range(-15, minutes)])
    for number in range(minutes):
        found.update(MONDAY + number, counts[number + 1 : number + 16], None)
    return found


def closed_hours(found: ClosingTimes, day: int, minutes: Iterable[int] = range(30, DAY, 60)) -> list[int]:
    """Return the hours of which the given minutes are closed; by default the middle of each."""
    return [minute // 60 for minute in minutes if found.is_closed(MONDAY + day * DAY + minute)]


NIGHT = [0, 1, 2, 3, 4, 5, 6, 7, 22, 23]


def test_one_night_is_learned():
    assert closed_hours(closing_times(1.4, by_day), 1, range(13 * 60, DAY, 60)) == [22, 23]


def test_a_business_that_never_closes_has_no_closing_times():
    assert closed_hours(closing_times(8, always), 8) == []


def test_an_outage_of_two_hours_is_no_closing_time_on_the_next_day():
    outage = lambda number: not 20 * 60 <= number < 22 * 60  # noqa: E731
    assert closed_hours(closing_times(1, outage), 1) == []


def test_one_long_outage_is_forgotten_among_open_days():
    outage = lambda number: not 3 * DAY <= number < 3 * DAY + 6 * 60  # noqa: E731
    assert closed_hours(closing_times(4, outage), 4) == []
    assert closed_hours(closing_times(10, outage), 10) == []


def test_a_weekday_of_rest_is_known_a_week_later_and_the_days_after_it_are_open():
    found = closing_times(13, not_on_sunday)

    assert closed_hours(found, 13) == list(range(24))
    found = closing_times(14, not_on_sunday)
    assert closed_hours(found, 14) == NIGHT


def test_after_a_weekend_monday_is_open():
    no_weekend = lambda number: by_day(number) and number // DAY % 7 < 5  # noqa: E731
    assert closed_hours(closing_times(14, no_weekend), 14) == NIGHT


def test_a_single_holiday_closes_no_other_day():
    holiday = lambda number: by_day(number) and number // DAY != 16  # noqa: E731
    found = closing_times(17, holiday)

    assert closed_hours(found, 17) == NIGHT
    assert closed_hours(closing_times(23, holiday), 23) == NIGHT  # the same weekday a week later


def test_new_hours_are_known_after_two_days_and_old_ones_forgotten_within_three_weeks():
    changed = lambda number: by_day(number) if number >= 16 * DAY else True  # noqa: E731
    assert closed_hours(closing_times(18.4, changed), 18, range(13 * 60, DAY, 60)) == [22, 23]
    round_the_clock = lambda number: number >= 10 * DAY or by_day(number)  # noqa: E731
    assert closed_hours(closing_times(31, round_the_clock), 31) == []


def test_irregular_hours_are_given_room_and_regular_ones_little():
    varied = np.random.default_rng(5).integers(-25, 26, 40)
    irregular = lambda number: 8 * 60 + varied[number // DAY] <= number % DAY < 22 * 60 - varied[number // DAY]  # noqa: E731
    minutes = range(8 * 60, 10 * 60)

    assert len(closed_hours(closing_times(14, by_day), 14, minutes)) <= 5
    assert 15 <= len(closed_hours(closing_times(14, irregular), 14, minutes)) <= 75


def test_hours_that_varied_weeks_ago_are_given_room_though_the_last_week_was_regular():
    varied = np.random.default_rng(5).integers(-50, 51, 40)
    varied[21:] = 0
    settled = lambda number: 8 * 60 + varied[number // DAY] <= number % DAY < 22 * 60  # noqa: E731

    assert 30 <= len(closed_hours(closing_times(28, settled), 28, range(8 * 60, 10 * 60))) <= 90
    assert len(closed_hours(closing_times(28, by_day), 28, range(8 * 60, 10 * 60))) <= 5


@pytest.mark.parametrize("weeks", [closing_times_module._FEWEST_WEEKS, 99])
def test_a_weekday_with_its_own_hours_does_not_make_the_others_vary(weeks: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(closing_times_module, "_FEWEST_WEEKS", weeks)
    late_fridays = lambda number: 8 * 60 <= number % DAY < (24 if number // DAY % 7 == 4 else 22) * 60  # noqa: E731
    closed = closed_hours(closing_times(28, late_fridays), 28, range(18 * 60, 22 * 60))

    assert (len(closed) <= 20) == (weeks < 99)


@pytest.mark.parametrize("opens", [7 * 60 + 20, 23 * 60])
def test_a_business_that_has_opened_early_is_open_though_it_may_open_later(opens: int):
    varied = np.random.default_rng(5).integers(-50, 51, 40)

    def is_open(number: int) -> bool:
        day, minute = divmod(number, DAY)
        return (8 * 60 + varied[day] if day < 14 else opens) <= minute < 22 * 60

    found = closing_times(14 + 8 / 24, is_open)
    assert found.is_closed(MONDAY + 14 * DAY + 8 * 60 + 15) == (opens > 8 * 60)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Sydney"])
def test_hours_follow_the_clocks_of_the_zone(zone: str):
    def is_open(number: int) -> bool:
        local = to_datetime(MONDAY + number).replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
        return 8 <= local.hour < 22

    hours = OpeningHours(zone)
    for days in (27, 28, 34):  # the zones change their clocks on the 6th, 27th and 34th day
        found = closing_times(days, is_open, hours)
        minutes = range(days * DAY + 30, (days + 1) * DAY, 60)
        assert [found.is_closed(MONDAY + at) for at in minutes] == [not is_open(at) for at in minutes]


def test_a_state_survives_json():
    found = closing_times(9, not_on_sunday)
    again = ClosingTimes.from_json(json.loads(json.dumps(found.to_json())), LEARNED)

    assert [again.is_closed(MONDAY + 9 * DAY + at) for at in range(0, DAY, 7)] == [
        found.is_closed(MONDAY + 9 * DAY + at) for at in range(0, DAY, 7)
    ]


# -- the whole detector ------------------------------------------------------------------------------------------------


def observe(detector: Detector, first: int, until: int, is_open: Open) -> list[Incident]:
    """Feed minutes, without rows where the business is closed; return the incidents in their last state."""
    incidents: dict[str, Incident] = {}
    for number in range(first, until):
        counts = {"approved": 60 + number % 7, "denied": 6} if is_open(number) else {}
        step = detector.observe(to_datetime(MONDAY + number), counts, is_observed=bool(counts))
        incidents |= {one.incident_id: one for one in step.incidents if one.state != WITHDRAWN}
    return list(incidents.values())


@cache
def _led(is_open: Open, days: int, hours: OpeningHours) -> tuple[Detector, list[Incident]]:
    detector = Detector(hours)
    return detector, observe(detector, 0, days * DAY, is_open)


def led(is_open: Open, days: int = 3, hours: OpeningHours = LEARNED) -> Detector:
    return deepcopy(_led(is_open, days, hours)[0])


def test_only_the_first_night_is_an_incident():
    found = _led(by_day, 3, LEARNED)[1]

    assert [(one.series, one.started_at) for one in found] == [(FEED, to_datetime(MONDAY + 22 * 60))]


def test_with_hours_that_are_set_not_even_the_first_night_is():
    hours = opening_hours("UTC", "mon-sun 08:00-22:00", "")

    assert observe(Detector(hours), 8 * 60, DAY + 9 * 60, by_day) == []


def test_a_feed_that_dies_at_night_is_critical_at_once_where_business_never_stops():
    dies = 3 * DAY + 23 * 60
    found = observe(led(always), 3 * DAY, dies + 10, lambda number: number < dies)

    assert [(one.series, one.severity, one.started_at) for one in found] == [
        (FEED, "critical", to_datetime(MONDAY + dies))
    ]
    assert found[0].detected_at <= to_datetime(MONDAY + dies + 3)


@pytest.mark.parametrize("begins", [22 * 60, 22 * 60 - 5, 23 * 60 + 59])
def test_an_outage_that_begins_at_closing_time_or_at_night_is_found_after_the_opening(begins: int):
    start, opens = 3 * DAY + begins, 4 * DAY + 8 * 60
    found = observe(led(by_day), 3 * DAY, opens + 30, lambda number: by_day(number) and number < start)

    assert [(one.series, one.severity) for one in found] == [(FEED, "critical")]
    assert opens <= to_minute(found[0].started_at) - MONDAY <= opens + 15
    assert to_minute(found[0].detected_at) - MONDAY <= opens + 20


def test_an_outage_by_day_is_found_at_once():
    start = 3 * DAY + 15 * 60
    found = observe(led(by_day), 3 * DAY, start + 5, lambda number: by_day(number) and number < start)

    assert [to_minute(one.detected_at) - MONDAY for one in found] == [start + 2]


def test_an_outage_over_the_opening_does_not_hide_the_next_one():
    detector, opens = led(by_day), [day * DAY + 8 * 60 for day in range(3, 6)]
    late = lambda number: by_day(number) and number % DAY >= 10 * 60  # noqa: E731
    found = observe(detector, 3 * DAY, 5 * DAY, late)

    assert [to_minute(one.detected_at) - MONDAY <= opens[day] + 20 for day, one in enumerate(found)] == [True, True]


@pytest.mark.parametrize("fewest", [closing_times_module._FEWEST_THAT_REPEAT, 99])
def test_a_pause_at_midday_is_an_incident_until_it_has_repeated(fewest: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(closing_times_module, "_FEWEST_THAT_REPEAT", fewest)
    paused = lambda number: by_day(number) and not 13 * 60 <= number % DAY < 15 * 60  # noqa: E731
    found = observe(Detector(), 0, 7 * DAY, paused)
    at_midday = [to_minute(one.started_at) // DAY for one in found if one.started_at.hour == 13]

    assert (len(at_midday) <= 3) == (fewest < 99)


def test_a_business_that_stays_open_longer_raises_nothing():
    longer = lambda number: 8 * 60 <= number % DAY < 23 * 60 + 30  # noqa: E731

    assert observe(led(by_day), 3 * DAY, 4 * DAY, longer) == []


def test_refunds_at_night_are_not_approvals_that_stop():
    detector = Detector()
    incidents = []
    for number in range(8 * 60, 3 * DAY):
        counts = {"approved": 60, "denied": 6} if by_day(number) else {"refunded": 1}
        step = detector.observe(to_datetime(MONDAY + number), counts)
        incidents += [one for one in step.incidents if one.series == VOLUME and one.detected_minute == MONDAY + number]

    assert [one.started_at for one in incidents] == [to_datetime(MONDAY + 22 * 60)]


def test_a_change_of_clocks_raises_nothing_where_the_zone_is_set():
    first = to_minute(datetime(2024, 3, 28))  # clocks change on the 31st, in Berlin

    def is_open(number: int) -> bool:
        at = to_datetime(first + number).replace(tzinfo=UTC).astimezone(ZoneInfo("Europe/Berlin"))
        return 8 <= at.hour < 22

    found: dict[str, int] = {}
    for zone in ("UTC", "Europe/Berlin"):
        detector = Detector(OpeningHours(zone))
        for number in range(8 * 60, 4 * DAY):
            counts = {"approved": 60, "denied": 6} if is_open(number) else {}
            step = detector.observe(to_datetime(first + number), counts, is_observed=bool(counts))
            found[zone] = found.get(zone, 0) + sum(one.detected_minute == first + number for one in step.incidents)

    assert found["Europe/Berlin"] == 1  # the first night
    assert found["UTC"] > 1


def test_a_restart_in_a_closed_night_changes_nothing():
    detector, night = led(by_day), 3 * DAY + 23 * 60
    observe(detector, 3 * DAY, night, by_day)
    again = Detector.from_json(json.loads(json.dumps(detector.to_json(), allow_nan=False)))
    for number in range(night, 4 * DAY + 9 * 60):
        counts = {"approved": 60, "denied": 6} if by_day(number) and number < 4 * DAY + 8 * 60 + 30 else {}
        at = to_datetime(MONDAY + number)
        assert again.observe(at, counts, bool(counts)) == detector.observe(at, counts, bool(counts))


def test_the_state_of_a_former_version_is_continued():
    state = led(by_day).to_json()
    del state["closing_times"]
    baseline = dict(state["baseline"])  # type: ignore[call-overload]
    days = np.array(baseline.pop("volume_by_day"), dtype=float)
    del baseline["doubtful"]
    today = state["last"] // DAY  # type: ignore[operator]
    former = np.full((8, days.shape[1]), np.nan)
    for day in range(today - 7, today + 1):
        former[day % 8] = days[day % len(days)]
    expectations = [one and one[:6] for one in state["expectations"]]  # type: ignore[attr-defined]
    again = Detector.from_json(
        state | {"baseline": baseline | {"volume_by_day": former.tolist()}, "expectations": expectations}
    )
    noon = MONDAY + 3 * DAY + 12 * 60

    assert again._baseline.expect(noon).volume == led(by_day)._baseline.expect(noon).volume
