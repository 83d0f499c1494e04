"""Days and moments of requests: one form, a plausible range, and a message that says what to send."""

from __future__ import annotations

import datetime as dt
import json
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from quintet.web.problems import ProblemError
from quintet.web.times import (
    BirthDay,
    BusinessDay,
    RecordedMoment,
    SubmittedAt,
    Within,
    refuse_future,
    refuse_swapped,
    utc,
)

NOW = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)


def parse(kind: Any, value: Any) -> Any:
    return TypeAdapter(kind).validate_python(value)


@pytest.mark.parametrize("text", ["2000-01-01", "2026-11-30", "2100-12-31"])
def test_a_day_within_the_range_is_taken(text: str) -> None:
    assert parse(BusinessDay, text) == dt.date.fromisoformat(text)


@pytest.mark.parametrize("text", ["0001-01-01", "1999-12-31", "2101-01-01", "9999-12-31"])
def test_a_day_outside_is_refused_with_the_range(text: str) -> None:
    with pytest.raises(ValidationError, match="is not between 2000-01-01 and 2100-12-31"):
        parse(BusinessDay, text)


@pytest.mark.parametrize(
    "value", [20260101, 1.5, True, None, "", "20260101", "2026-1-1", "2026-02-30", "2026-01-01T00:00:00", "yesterday",
              "２０２６-01-01", " 2026-01-01", "2026-01-01\n", "-2026-01-01", "2026-W01-1"]
)  # fmt: skip
def test_a_day_in_another_form_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        parse(BusinessDay, value)


@pytest.mark.parametrize("text", ["1970-01-01", "2024-05-01T02:22:43.123456Z", "2024-05-01 02:22+02:00"])
def test_a_moment_within_the_range_is_taken(text: str) -> None:
    assert parse(RecordedMoment, text).year in (1970, 2024)


@pytest.mark.parametrize(
    "value",
    [
        1_700_000_000, "1700000000", "1.5", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
        "1969-12-31T23:59:59Z", "2101-01-01", "2024-05-01T25:00", "2024-13-01", "2024-05-01T02:22:43Z; drop",
    ],
)  # fmt: skip
def test_another_moment_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        parse(RecordedMoment, value)


def test_a_moment_may_have_to_name_its_zone() -> None:
    with pytest.raises(ValidationError, match="the zone is missing"):
        parse(SubmittedAt, "2026-11-30T12:00:00")
    assert parse(SubmittedAt, "2026-11-30T12:00:00Z") == NOW


KINDS = [BusinessDay, BirthDay, RecordedMoment, SubmittedAt]
OWN = Within("2001-01-01", "2002-01-01")


@pytest.mark.parametrize("kind", [*KINDS, Annotated[dt.date, OWN], Annotated[dt.datetime, OWN]])
def test_the_range_is_in_the_schema(kind: Any) -> None:
    schema = TypeAdapter(kind).json_schema()

    assert schema["format"] in ("date", "date-time")
    assert schema["formatMinimum"] < schema["formatMaximum"]
    assert parse(kind, schema["formatMinimum"]) < parse(kind, schema["formatMaximum"])


@pytest.mark.parametrize(
    "given",
    [
        None,
        dt.date(2026, 12, 1),
        dt.datetime(2026, 12, 1, 12),
        dt.datetime(2026, 12, 2, 1, tzinfo=dt.timezone(dt.timedelta(hours=14))),
    ],
)
def test_up_to_a_day_ahead_is_not_the_future(given: Any) -> None:
    refuse_future("body.at", given, NOW)


@pytest.mark.parametrize(
    "given",
    [
        dt.date(2026, 12, 2),
        dt.datetime(2026, 12, 1, 12, 0, 1),
        dt.datetime(2026, 12, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=-14))),
    ],
)
def test_the_future_is_refused_with_the_place_and_the_clock(given: Any) -> None:
    with pytest.raises(ProblemError, match="is in the future; the service's clock is at 2026-11-30 12:00 UTC") as found:
        refuse_future("body.at", given, NOW)
    assert found.value.errors[0].where == "body.at"


def test_a_range_the_wrong_way_round_is_refused() -> None:
    early, late = dt.datetime(2024, 5, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2))), dt.datetime(2024, 5, 1)
    refuse_swapped(("since", "until"), early, late)
    refuse_swapped(("since", "until"), None, late)
    refuse_swapped(("since", "until"), late, late)
    with pytest.raises(ProblemError, match="swap the two"):
        refuse_swapped(("since", "until"), late, early)


def test_a_moment_without_a_zone_is_utc() -> None:
    assert utc(dt.datetime(2024, 5, 1)) == utc(dt.datetime(2024, 5, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2))))


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)

    day: BusinessDay
    at: SubmittedAt | None = None


@pytest.mark.parametrize("at", ["2026-11-30T12:00:00Z", "2026-11-30t12:00:00z", "2026-11-30T13:00:00.000000000+01:00"])
def test_a_strict_model_takes_texts_from_python_and_from_json(at: str) -> None:
    given = {"day": "2026-11-30", "at": at}

    assert Strict.model_validate(given) == Strict.model_validate_json(json.dumps(given))
    assert Strict.model_validate(given).at == NOW


@pytest.mark.parametrize("given", [{"day": "2026-11-31"}, {"day": "2026-11-30", "at": "2026-11-30T24:01:00Z"}])
def test_a_day_that_the_calendar_lacks_is_named(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"is no (day|time)"):
        Strict.model_validate(given)
