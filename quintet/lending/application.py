"""An application for a loan, as the CRM sends it."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property

LARGEST_ID = 2**31 - 1
LARGEST_AMOUNT = 1_000_000
LONGEST_DURATION_DAYS = 3_650
OLDEST_REQUEST = dt.timedelta(hours=24)
FURTHEST_AHEAD = dt.timedelta(minutes=5)
FURTHEST_DAY_AHEAD = dt.timedelta(days=1)
"""The lender's day may have begun where UTC's has not."""

LSN_PATTERN = r"^[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}$"


@dataclass(frozen=True)
class Application:
    """An application for a loan.

    amount: in the currency of the loans. applied_on: features are as of the end of this day. submitted_at: when the
    CRM sent it, UTC. commit_lsn: features have to cover PostgreSQL's log up to here; None: up to the application's row.
    """

    application_id: int
    client_id: int
    amount: float
    duration_days: int
    applied_on: dt.date
    submitted_at: dt.datetime
    commit_lsn: int | None

    def values(self) -> dict[str, float | None]:
        """Return the figures that come with the application itself, by name."""
        return {"amount": self.amount, "duration_days": float(self.duration_days)}

    @cached_property
    def identity(self) -> str:
        """A digest of what is applied for; submitted_at and commit_lsn do not count."""
        key = [self.application_id, self.client_id, repr(self.amount), self.duration_days, self.applied_on.isoformat()]
        return hashlib.sha256(json.dumps(key).encode()).hexdigest()

    @property
    def decision_id(self) -> str:
        """The id of its decision; the same for every repeat of the request."""
        return self.identity[:16]

    def as_json(self) -> dict[str, object]:
        """Return its fields for the decision log."""
        return {
            "application_id": self.application_id,
            "client_id": self.client_id,
            "amount": self.amount,
            "duration_days": self.duration_days,
            "applied_on": self.applied_on.isoformat(),
            "submitted_at": self.submitted_at.isoformat(),
            "commit_lsn": self.commit_lsn,
        }


def why_untimely(application: Application, now: dt.datetime) -> str | None:
    """Return why an application is too old or too new to be decided, None if it is neither. now: UTC, with its zone."""
    age = now - application.submitted_at
    if age > OLDEST_REQUEST:
        return (
            f"submitted_at is {age.total_seconds() / 86_400:.1f} days ago, and features have changed since. Send an "
            f"application within {OLDEST_REQUEST.total_seconds() / 3600:.0f} hours, or submit it again"
        )
    if -age > FURTHEST_AHEAD:
        return f"submitted_at is in the future; the clock of this service is at {now:%Y-%m-%d %H:%M:%S} UTC"
    return None


def why_day_not_begun(application: Application, now: dt.datetime) -> str | None:
    """Return why the day of an application cannot be decided yet, None if it can. now: UTC, with its zone."""
    if application.applied_on <= (now + FURTHEST_DAY_AHEAD).date():
        return None
    return (
        f"applied_on {application.applied_on} is in the future: the clock of this service is at {now:%Y-%m-%d %H:%M} "
        "UTC, and one day ahead is allowed. Send the day on which the client applied"
    )


def why_not_covered(applied_on: dt.date, covered_from: dt.date | None) -> str | None:
    """Return why features say too little about the day of an application, None if they cover it.

    covered_from: the first day whose history the features have; None before a stream has begun.
    """
    if covered_from is None:
        return "the first day of the loan book's history is not known; restart the stream, which reads it again"
    if applied_on >= covered_from:
        return None
    return (
        f"applied_on {applied_on} is before {covered_from}, the first day that the stream's history of the loan book "
        "covers, so the client's history on that day is not known"
    )


def lsn_of(text: str) -> int:
    """Parse an LSN as PostgreSQL writes it, like 16/B374D848. Raises ValueError for another form."""
    if not re.fullmatch(LSN_PATTERN, text):
        raise ValueError(f"{text!r} is no LSN of PostgreSQL; write it like 16/B374D848")
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)
