"""Days and moments of requests: one form, and for each meaning a plausible range that the OpenAPI document states.

Every request of the service takes its days and moments from here. What depends on the clock is checked by
`refuse_future` and `refuse_swapped`, which a route calls.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from quintet.web.problems import Fault, ProblemError

SKEW = dt.timedelta(days=1)
"""How far ahead of the service's clock a request may be: senders' zones differ by up to 14 hours."""

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?([Zz]|[+-]\d{2}:\d{2})?)?", re.ASCII)


@dataclass(frozen=True)
class Within:
    """Limits a day or a moment to the days from `first` to `last`, ISO and included: `Annotated[dt.date, Within(…)]`.

    It takes texts alone: 2024-05-01 for a day; for a moment 2024-05-01T02:22:43Z, or a day, which is its beginning.
    is_zoned: whether a moment has to name its zone.
    """

    first: str
    last: str
    is_zoned: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema that parses the text and checks the range."""
        parse = _moment if source is dt.datetime else _day
        parsed = core_schema.no_info_before_validator_function(parse, handler(source))
        return core_schema.no_info_after_validator_function(self._check, parsed)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the JSON schema with the range."""
        described = handler(schema)
        begin, end = self.first, self.last
        if described["format"] == "date-time":
            begin, end = f"{begin}T00:00:00Z", f"{end}T23:59:59Z"
        limits = {"formatMinimum": begin, "formatMaximum": end}
        return {**described, **limits, "description": f"From {self.first} to {self.last}."}

    def _check(self, value: dt.date) -> dt.date:
        day = value.date() if isinstance(value, dt.datetime) else value
        if not self.first <= day.isoformat() <= self.last:
            raise ValueError(f"the day {day} is not between {self.first} and {self.last}")
        if self.is_zoned and isinstance(value, dt.datetime) and value.tzinfo is None:
            raise ValueError("the zone is missing; write a time like 2024-05-01T02:22:43Z")
        return value


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


RecordedMoment = Annotated[dt.datetime, Within("1970-01-01", "2100-12-31")]
"""When something happened that a file or the service recorded; also the ends of a range of such moments."""

BusinessDay = Annotated[dt.date, Within("2000-01-01", "2100-12-31")]
"""A day of the business: of an application, of features, of payments."""

SubmittedAt = Annotated[dt.datetime, Within("2000-01-01", "2100-12-31", is_zoned=True)]
"""When a program sent a request."""

BirthDay = Annotated[dt.date, Within("1900-01-01", "2100-12-31")]
"""A date of birth."""
