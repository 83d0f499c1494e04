"""From points to incidents: pending, firing, resolved; grouped, inhibited; silenced, acknowledged, repeated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2s
from typing import NamedTuple

from quintet.payments import rules

APPROVED = "approved"
VOLUME = "volume"
FEED = "feed"

PENDING, FIRING, RESOLVED, WITHDRAWN = "pending", "firing", "resolved", "withdrawn"
WARNING, CRITICAL = "warning", "critical"

REPEAT_AFTER = timedelta(hours=4)

_QUIET_MINUTES_TO_RESOLVE = 10
_CRITICAL_SCORE = 20.0
_CRITICAL_SHARE_OF_EXPOSURE = 0.05
_EPOCH = datetime(1970, 1, 1)
_NAMES_OF_RULES = {
    rules.RATE_TAIL: "more than chance explains",
    rules.VOLUME_TAIL: "fewer than chance explains",
    rules.ZERO_APPROVED: "nothing was approved where twenty or more were expected",
    rules.DENIED_QUARTER: "more than a quarter was denied",
    rules.BURST_OF_RARE: "a burst of a status that is normally zero",
}


def to_minute(at: datetime) -> int:
    """Minutes since 1970 of the minute that holds `at`; a time without a zone is UTC."""
    if at.tzinfo is not None:
        at = at.astimezone(UTC).replace(tzinfo=None)
    return int((at - _EPOCH).total_seconds() // 60)


def to_datetime(minute: int) -> datetime:
    """The start of a minute counted from 1970, UTC, without a zone as in the tables."""
    return _EPOCH + timedelta(minutes=minute)


class Point(NamedTuple):
    """One series in one minute, scored.

    minute: since 1970. score: minus the decimal logarithm of the probability of so many (volume: so few), of the window
    in which that is least; 0 where the difference does not matter. expected, observed: counts in that window.
    minute_count, lower, upper: of the minute itself, and three standard deviations about what it should be. rule: what
    makes the point anomalous, empty if nothing. exposure: approved and denied in the window.
    is_anomalous: the minute recommends an alert. is_sustained: an incident may fire (three minutes or more bear it).
    is_elevated: the last five minutes are still out of the ordinary. is_bad: the minute alone is.
    started_minute: where the deviation begins, if anomalous.
    """

    series: str
    minute: int
    score: float
    expected: float
    observed: int
    window_minutes: int
    minute_count: int
    lower: float
    upper: float
    exposure: int
    rule: str = rules.NO_RULE
    is_anomalous: bool = False
    is_sustained: bool = False
    is_elevated: bool = False
    is_bad: bool = False
    started_minute: int = 0

    @property
    def minute_at(self) -> datetime:
        """Start of the minute, UTC."""
        return to_datetime(self.minute)

    @property
    def reason(self) -> str:
        """What was seen and what was expected, in a sentence."""
        return _sentence(self)


class Incident(NamedTuple):
    """A series out of the ordinary for some minutes; minutes are counted from 1970.

    incident_id: of the series and its first minute, the same in a replay. group_id: the incident_id of the first of
    those that were open together. ended_minute: the first minute after the last bad one, None while it lasts.
    peak_score, expected, observed, window_minutes: of the worst point.
    """

    series: str
    state: str
    started_minute: int
    detected_minute: int
    last_bad_minute: int
    quiet_minutes: int
    severity: str
    peak_score: float
    expected: float
    observed: int
    window_minutes: int
    rule: str
    group_id: str = ""
    ended_minute: int | None = None

    @property
    def incident_id(self) -> str:
        """Twelve hexadecimal digits."""
        return blake2s(f"{self.series}@{self.started_minute}".encode(), digest_size=6).hexdigest()

    @property
    def fingerprint(self) -> str:
        """What silences, groups and repeats know the alert by: its series, whenever it fires."""
        return f"payments/{self.series}"

    @property
    def started_at(self) -> datetime:
        """Start of the first bad minute, UTC."""
        return to_datetime(self.started_minute)

    @property
    def detected_at(self) -> datetime:
        """Start of the minute that decided, UTC; it was known when that minute ended."""
        return to_datetime(self.detected_minute)

    @property
    def ended_at(self) -> datetime | None:
        """End of the last bad minute, UTC; None while the incident lasts."""
        return None if self.ended_minute is None else to_datetime(self.ended_minute)

    @property
    def reason(self) -> str:
        """What was seen and what was expected at the worst, in a sentence."""
        return _sentence(self)


def _sentence(one: Point | Incident) -> str:
    minutes = "a minute" if one.window_minutes == 1 else f"{one.window_minutes} minutes"
    if one.series == FEED:
        if one.rule == rules.STALE_FEED:
            return f"No rows in {minutes} in which about {one.expected:,.0f} approvals were expected."
        return "Rows arrive." if one.observed else f"No rows in {minutes}, which may be chance."
    what = "approved" if one.series == VOLUME else one.series.replace("_", " ")
    expected = f"{one.expected:,.0f}" if one.expected >= 100 else f"{one.expected:.3g}"
    said = f"{one.observed:,} {what} in {minutes}, where about {expected} were expected"
    return f"{said}: {_NAMES_OF_RULES[one.rule]}." if one.rule else f"{said}."


def advance(
    open_incidents: Mapping[str, Incident], points: Sequence[Point], is_observed: bool
) -> tuple[dict[str, Incident], list[Incident]]:
    """The open incidents (pending or firing, by series) after one more minute, and those that fired, grew or resolved.

    An alert fires when its point is sustained or its rule needs no confirmation, and resolves after ten minutes with
    rows in none of which it was elevated. While nothing is approved or the feed stands still no status begins to fire.
    Points of a minute without rows leave the statuses as they were.
    """
    if not open_incidents and not any(point.is_anomalous for point in points):
        return {}, []
    is_stopped = not is_observed or any(point.rule == rules.ZERO_APPROVED for point in points)
    still_open = dict(open_incidents)
    changed = []
    for point in points:
        incident = still_open.pop(point.series, None)
        following = _follow(incident, point, is_stopped and point.series not in (VOLUME, FEED))
        if following is None:
            continue
        if following.state != RESOLVED:
            still_open[point.series] = following
        if following.state != PENDING:
            changed.append(following)
    return _grouped(open_incidents, still_open, changed)


def _follow(incident: Incident | None, point: Point, is_inhibited: bool) -> Incident | None:
    if incident is None or incident.state == PENDING:
        if not point.is_anomalous:
            return None
        started = point.started_minute if incident is None else min(incident.started_minute, point.started_minute)
        fires = not is_inhibited and (point.is_sustained or point.rule in rules.IMMEDIATE_RULES)
        return Incident(
            point.series,
            FIRING if fires else PENDING,
            started,
            point.minute,
            point.minute,
            0,
            _severity(point),
            point.score,
            point.expected,
            point.observed,
            point.window_minutes,
            point.rule,
        )
    if point.is_bad:
        incident = incident._replace(last_bad_minute=point.minute)
    incident = incident._replace(quiet_minutes=0 if point.is_elevated else incident.quiet_minutes + 1)
    if incident.quiet_minutes >= _QUIET_MINUTES_TO_RESOLVE:
        return incident._replace(state=RESOLVED, ended_minute=incident.last_bad_minute + 1)
    if point.is_anomalous:
        if _severity(point) == CRITICAL:
            incident = incident._replace(severity=CRITICAL)
        if point.score > incident.peak_score:
            incident = incident._replace(
                peak_score=point.score,
                expected=point.expected,
                observed=point.observed,
                window_minutes=point.window_minutes,
            )
    return incident


def _severity(point: Point) -> str:
    """Critical where money stops, or where a twentieth of all that pay is affected beyond doubt."""
    if point.series in (VOLUME, FEED) or point.rule == rules.DENIED_QUARTER:
        return CRITICAL
    affected = point.observed - point.expected
    is_large = affected >= _CRITICAL_SHARE_OF_EXPOSURE * max(point.exposure, 1)
    return CRITICAL if is_large and point.score >= _CRITICAL_SCORE else WARNING


def _grouped(
    before: Mapping[str, Incident], still_open: dict[str, Incident], changed: list[Incident]
) -> tuple[dict[str, Incident], list[Incident]]:
    """Give those that began to fire the group of those that are firing already, else of the earliest of themselves."""
    new = sorted(
        (incident for incident in changed if not incident.group_id and incident.state == FIRING),
        key=lambda incident: (incident.started_minute, incident.series),
    )
    if not new:
        return still_open, changed
    firing = [incident for incident in before.values() if incident.state == FIRING]
    group_id = min(firing, key=lambda one: (one.detected_minute, one.series)).group_id if firing else new[0].incident_id
    named = {incident.series: incident._replace(group_id=group_id) for incident in new}
    return still_open | named, [named.get(incident.series, incident) for incident in changed]


@dataclass(frozen=True)
class Silence:
    """No notification for a series (None: for all) from `starts_at` until `expires_at`, UTC."""

    series: str | None
    starts_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class Told:
    """What the team knows of an incident: when it was last told, as which state, and when somebody took it on."""

    at: datetime
    state: str
    acknowledged_at: datetime | None = None


def is_silenced(incident: Incident, silences: Iterable[Silence], now: datetime) -> bool:
    """Whether a silence that holds now covers the incident."""
    return any(
        silence.series in (None, incident.series) and silence.starts_at <= now < silence.expires_at
        for silence in silences
    )


def is_due(incident: Incident, told: Told | None, silences: Iterable[Silence], now: datetime) -> bool:
    """Whether the team is to be told of the incident now.

    Told when it fires, again every four hours until somebody acknowledges it, and when it resolves or is withdrawn, or
    fires after all; the end only if the incident was told. A silence holds back all of it while it lasts.
    """
    if is_silenced(incident, silences, now):
        return False
    if told is None:
        return incident.state == FIRING
    if incident.state != told.state:
        return True
    return incident.state == FIRING and told.acknowledged_at is None and now - told.at >= REPEAT_AFTER
