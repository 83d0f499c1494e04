"""The steps of an escalation: in which order, after how long and in which hours channels are notified."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from quintet.payments.incidents import to_minute
from quintet.payments.opening_hours import OpeningHours, parse_weekly_hours

_MOST_MINUTES = 1_440
_STEP = re.compile(r"([a-z]+)(?:\s+after\s+(\d{1,4}))?(?:\s+during\s+(.+))?", re.DOTALL)


@dataclass(frozen=True)
class Step:
    """When a channel is notified: after how long without an acknowledgement, and in which hours (None: in all)."""

    channel: str
    after: dt.timedelta = dt.timedelta()
    hours: OpeningHours | None = None

    @property
    def may_be_later(self) -> bool:
        """Whether the channel may be notified later than the others."""
        return bool(self.after) or self.hours is not None

    def is_reached(self, waited: dt.timedelta, now: dt.datetime) -> bool:
        """Return whether the channel is to be notified of an incident that has waited so long."""
        if waited < self.after:
            return False
        return self.hours is None or bool(self.hours.is_open(self.hours.to_local(to_minute(now))))


@dataclass(frozen=True)
class Escalation:
    """The steps, by channel. A channel without a step is notified at once."""

    steps: Mapping[str, Step]

    def reached(self, channels: Sequence[str], waited: dt.timedelta, now: dt.datetime) -> list[str]:
        """Return the channels to notify of an incident that has waited so long, in their order."""
        return [one for one in channels if one not in self.steps or self.steps[one].is_reached(waited, now)]

    def later(self, channels: Sequence[str], waited: dt.timedelta, now: dt.datetime) -> list[str]:
        """Return those of them that may not have been notified when the incident was first reported."""
        later = [one for one in channels if one in self.steps and self.steps[one].may_be_later]
        return self.reached(later, waited, now)

    def unknown(self, channels: Collection[str]) -> list[str]:
        """Return the channels of steps that are not configured."""
        return [one for one in self.steps if one not in channels]


AT_ONCE = Escalation({})
"""All channels are notified at once."""


def parse_escalation(text: str, channels: Collection[str], zone: str = "UTC") -> Escalation:
    """Return the steps of a text like `teams | email after 10 | apprise after 30 during mon-fri 18:00-08:00`.

    Minutes count from the first notification. Hours are as in `parse_weekly_hours`, in the zone. Raises ValueError.
    """
    steps: dict[str, Step] = {}
    for part in text.split("|") if text.strip() else ():
        found = _STEP.fullmatch(part.strip().lower())
        if found is None or found[1] not in channels:
            raise ValueError(f"{part.strip()!r} is no step like `email after 10`, with a channel of {sorted(channels)}")
        channel, minutes = found[1], int(found[2] or 0)
        if channel in steps or minutes > _MOST_MINUTES:
            raise ValueError(f"{part.strip()!r}: a channel has one step, at most {_MOST_MINUTES:,} minutes after")
        hours = OpeningHours(zone, parse_weekly_hours(found[3])) if found[3] else None
        steps[channel] = Step(channel, dt.timedelta(minutes=minutes), hours)
    return Escalation(steps)
