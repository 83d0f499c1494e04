"""The life of an incident: pending, firing, resolved; grouped, inhibited, acknowledged, repeated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
NAMES_OF_RULES = {
    rules.RATE_TAIL: "more than chance explains",
    rules.VOLUME_TAIL: "fewer than chance explains",
    rules.ZERO_APPROVED: "nothing was approved where twenty or more were expected",
    rules.DENIED_QUARTER: "more than a quarter was denied",
    rules.BURST_OF_RARE: "a burst of a status that is normally zero",
}

_NAMES = {FEED: "feed of transactions", VOLUME: "approved transactions"}


def series_name(series: str) -> str:
    """Return the name of a series for people."""
    return _NAMES.get(series, series.replace("_", " "))


def to_minute(at: datetime) -> int:
    """Return the minute of `at`, counted from 1970; a time without a zone is UTC."""
    if at.tzinfo is not None:
        at = at.astimezone(UTC).replace(tzinfo=None)
    return int((at - _EPOCH).total_seconds() // 60)


def to_datetime(minute: int) -> datetime:
    """Return the start of a minute counted from 1970: UTC, without a zone as in the tables."""
    return _EPOCH + timedelta(minutes=minute)


class Point(NamedTuple):
    """The score of one series in one minute.

    minute: counted from 1970. score: minus the decimal logarithm of the probability of a count this high (volume: this
    low), for the window with the lowest probability; 0 if the deviation is immaterial. expected, observed: counts in
    that window. minute_count: count of the minute; lower, upper: three standard deviations around its expected count.
    rule: the rule that makes the point anomalous, or empty. exposure: approved and denied in the window.
    is_anomalous: the minute recommends an alert. is_sustained: three minutes or more deviate, so an incident may fire.
    is_elevated: the last five minutes are still anomalous. is_bad: the minute by itself is anomalous.
    started_minute: first minute of the deviation, if anomalous.
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
        """Observed and expected count, in a sentence."""
        return _sentence(self)


class Incident(NamedTuple):
    """An anomaly of one series; minutes are counted from 1970.

    incident_id: hash of the series and its first minute, equal in live and batch detection. group_id: incident_id of
    the first incident that was open at the same time. ended_minute: the first minute after the last bad one, None while
    the incident lasts. peak_score, expected, observed, window_minutes: values of the worst point.
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
        """Name of the alert for silences, groups and repeats: its series, whenever it fires."""
        return f"payments/{self.series}"

    @property
    def started_at(self) -> datetime:
        """Start of the first bad minute, UTC."""
        return to_datetime(self.started_minute)

    @property
    def detected_at(self) -> datetime:
        """Start of the minute that made the incident fire, UTC; it fired at the end of that minute."""
        return to_datetime(self.detected_minute)

    @property
    def ended_at(self) -> datetime | None:
        """End of the last bad minute, UTC; None while the incident lasts."""
        return None if self.ended_minute is None else to_datetime(self.ended_minute)

    @property
    def reason(self) -> str:
        """Observed and expected count of the worst point, in a sentence."""
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
    return f"{said}: {NAMES_OF_RULES.get(one.rule, f'rule {one.rule} raises it')}." if one.rule else f"{said}."


def severity_by_share(point: Point) -> str:
    """Return critical if payments stop, or if a twentieth of all payers is certainly affected."""
    if point.series in (VOLUME, FEED) or point.rule == rules.DENIED_QUARTER:
        return CRITICAL
    affected = point.observed - point.expected
    is_large = affected >= _CRITICAL_SHARE_OF_EXPOSURE * max(point.exposure, 1)
    return CRITICAL if is_large and point.score >= _CRITICAL_SCORE else WARNING


def advance(
    open_incidents: Mapping[str, Incident],
    points: Sequence[Point],
    is_observed: bool,
    severity_of: Callable[[Point], str] = severity_by_share,
) -> tuple[dict[str, Incident], list[Incident]]:
    """Return the open incidents (pending or firing, by series) after a minute, and those that fired, grew or resolved.

    An alert fires when its point is sustained or its rule needs no confirmation. It resolves after ten minutes with
    rows in which it was not elevated. While nothing is approved or the feed is stale, no status starts to fire.
    Points of a minute without rows do not change the statuses. severity_of: returns the severity of an anomalous point.
    """
    if not open_incidents and not any(point.is_anomalous for point in points):
        return {}, []
    is_stopped = not is_observed or any(point.rule == rules.ZERO_APPROVED for point in points)
    still_open = dict(open_incidents)
    changed = []
    for point in points:
        incident = still_open.pop(point.series, None)
        following = _follow(incident, point, is_stopped and point.series not in (VOLUME, FEED), severity_of)
        if following is None:
            continue
        if following.state != RESOLVED:
            still_open[point.series] = following
        if following.state != PENDING:
            changed.append(following)
    return _grouped(open_incidents, still_open, changed)


def _follow(
    incident: Incident | None, point: Point, is_inhibited: bool, severity_of: Callable[[Point], str]
) -> Incident | None:
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
            severity_of(point),
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
        if severity_of(point) == CRITICAL:
            incident = incident._replace(severity=CRITICAL)
        if point.score > incident.peak_score:
            incident = incident._replace(
                peak_score=point.score,
                expected=point.expected,
                observed=point.observed,
                window_minutes=point.window_minutes,
            )
    return incident


def _grouped(
    before: Mapping[str, Incident], still_open: dict[str, Incident], changed: list[Incident]
) -> tuple[dict[str, Incident], list[Incident]]:
    """Put incidents that started to fire into the group that is firing already, else into a group of their own."""
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
class Notification:
    """The last notification about an incident: its time, the state it reported, and when it was acknowledged."""

    at: datetime
    state: str
    acknowledged_at: datetime | None = None


def elapsed(since: datetime, now: datetime) -> timedelta:
    """Return the time since then; a time ahead of the clock, which was set back, counts as that long ago."""
    return abs(now - since)


def is_due(incident: Incident, last: Notification | None, now: datetime, *, is_silent: bool = False) -> bool:
    """Return whether a notification about the incident is due.

    The team is notified when an incident fires, every four hours until it is acknowledged, and when it resolves, is
    withdrawn or fires after a withdrawal. Ends are reported only if the start was. Nothing is while it is silenced.
    """
    if is_silent:
        return False
    if last is None:
        return incident.state == FIRING
    if incident.state != last.state:
        return True
    return incident.state == FIRING and last.acknowledged_at is None and elapsed(last.at, now) >= REPEAT_AFTER
