"""Days and moments of requests: one form, and for each meaning a plausible range that the OpenAPI document states.

Every request of the service takes its days and moments from here. What depends on the clock is checked by
`refuse_future` and `refuse_swapped`, which a route calls.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from quintet.web.problems import Fault, ProblemError

SKEW = dt.timedelta(days=1)
"""How far ahead of the service's clock a request may be: senders' zones differ by up to 14 hours."""

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?([Zz]|[+-]\d{2}:\d{2})?)?", re.ASCII)


def day_between(first: str, last: str) -> Any:
    """Return the type of a day such as 2024-05-01, from `first` to `last`, both ISO and included."""
    begin, end = dt.date.fromisoformat(first), dt.date.fromisoformat(last)

    def within(day: dt.date) -> dt.date:
        if not begin <= day <= end:
            raise ValueError(f"the day {day} is not between {first} and {last}")
        return day

    schema = {"type": "string", "format": "date", **_range(first, last)}
    return Annotated[dt.date, BeforeValidator(_day), AfterValidator(within), WithJsonSchema(schema)]


def moment_between(first: str, last: str, *, is_zoned: bool = False) -> Any:
    """Return the type of a moment such as 2024-05-01T02:22:43Z, on days from `first` to `last`, ISO and included.

    is_zoned: whether the zone is required. A day without a time is its beginning.
    """
    begin, end = dt.date.fromisoformat(first), dt.date.fromisoformat(last)

    def within(moment: dt.datetime) -> dt.datetime:
        if not begin <= moment.date() <= end:
            raise ValueError(f"the day {moment.date()} is not between {first} and {last}")
        if is_zoned and moment.tzinfo is None:
            raise ValueError("the zone is missing; write a time like 2024-05-01T02:22:43Z")
        return moment

    schema = {"type": "string", "format": "date-time", **_range(f"{first}T00:00:00Z", f"{last}T23:59:59Z")}
    return Annotated[dt.datetime, BeforeValidator(_moment), AfterValidator(within), WithJsonSchema(schema)]


def refuse_future(where: str, given: dt.date | dt.datetime | None, now: dt.datetime) -> None:
    """Raise ProblemError 422 for a day or moment that is more than `SKEW` ahead. now: UTC, with its zone.

    where: its place in the request, such as `body.created_at`. A moment without a zone is UTC.
    """
    if given is None:
        return
    latest = now + SKEW
    if isinstance(given, dt.datetime):
        is_future = (given if given.tzinfo else given.replace(tzinfo=dt.UTC)) > latest
    else:
        is_future = given > latest.date()
    if is_future:
        clock = f"the service's clock is at {now:%Y-%m-%d %H:%M} UTC"
        _refuse(where, f"{given.isoformat()} is in the future; {clock}")


def refuse_swapped(names: tuple[str, str], begin: dt.datetime | None, end: dt.datetime | None) -> None:
    """Raise ProblemError 422 if a range ends before it begins. names: of the parameters, `since` and `until`."""
    if begin is not None and end is not None and utc(begin) > utc(end):
        _refuse(
            f"query.{names[0]}", f"{names[0]} {begin.isoformat()} is after {names[1]} {end.isoformat()}; swap the two"
        )


def utc(moment: dt.datetime) -> dt.datetime:
    """Return the moment in UTC without its zone; one without a zone is UTC."""
    return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _refuse(where: str, what: str) -> None:
    raise ProblemError(422, f"{where}: {what}", errors=[Fault(where=where, what=what)])


def _range(first: str, last: str) -> dict[str, str]:
    return {
        "formatMinimum": first,
        "formatMaximum": last,
        "description": f"From {first[:10]} to {last[:10]}.",
    }


def _day(value: Any) -> dt.date:
    # parsed here, because a strict model takes no text after a validator
    try:
        if isinstance(value, str) and _DAY.fullmatch(value):
            return dt.date.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"{value} is no day: {error}") from None
    raise ValueError("write a day like 2024-05-01")


def _moment(value: Any) -> dt.datetime:
    try:
        if isinstance(value, str) and _MOMENT.fullmatch(value):
            return dt.datetime.fromisoformat(value.upper())
    except ValueError as error:
        raise ValueError(f"{value} is no time: {error}") from None
    raise ValueError("write a day or a time like 2024-05-01 or 2024-05-01T02:22:43Z")


RecordedMoment: Any = moment_between("1970-01-01", "2100-12-31")
"""When something happened that a file or the service recorded; also the ends of a range of such moments."""

BusinessDay: Any = day_between("2000-01-01", "2100-12-31")
"""A day of the business: of an application, of features, of payments."""

SubmittedAt: Any = moment_between("2000-01-01", "2100-12-31", is_zoned=True)
"""When a program sent a request."""

BirthDay: Any = day_between("1900-01-01", "2100-12-31")
"""A date of birth."""
