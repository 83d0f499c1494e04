"""An application for a loan as the CRM hands it over."""

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

LSN_PATTERN = r"^[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}$"


@dataclass(frozen=True)
class Application:
    """An application. amount: in the currency of the loans. applied_on: the day at whose end features are told.

    submitted_at: when the CRM sent it, UTC. commit_lsn: up to where PostgreSQL's log has to be known for it, None
    where the application's own row says that.
    """

    application_id: int
    client_id: int
    amount: float
    duration_days: int
    applied_on: dt.date
    submitted_at: dt.datetime
    commit_lsn: int | None

    def values(self) -> dict[str, float | None]:
        """What it brings to a decision itself, by name."""
        return {"amount": self.amount, "duration_days": float(self.duration_days)}

    @cached_property
    def identity(self) -> str:
        """A digest of what is applied for. When and from where in the log it is sent makes no other application."""
        told = [self.application_id, self.client_id, repr(self.amount), self.duration_days, self.applied_on.isoformat()]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    @property
    def decision_id(self) -> str:
        """The name of its decision: the same however often it is asked for."""
        return self.identity[:16]

    def as_json(self) -> dict[str, object]:
        """Its fields for the log."""
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
    """Why an application comes too late or too early to be decided, None where it does not. now: UTC, with its zone."""
    age = now - application.submitted_at
    if age > OLDEST_REQUEST:
        return (
            f"submitted_at is {age.total_seconds() / 86_400:.1f} days ago, and nothing was decided then; features have "
            f"moved on since. Send it within {OLDEST_REQUEST.total_seconds() / 3600:.0f} hours, or submit it anew"
        )
    if -age > FURTHEST_AHEAD:
        return f"submitted_at is in the future; the clock here says {now:%Y-%m-%d %H:%M:%S} UTC"
    return None


def lsn_of(text: str) -> int:
    """The place in the log that PostgreSQL writes like 16/B374D848. Raises ValueError for another form."""
    if not re.fullmatch(LSN_PATTERN, text):
        raise ValueError(f"{text!r} is no place in PostgreSQL's log; it is written like 16/B374D848")
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)
