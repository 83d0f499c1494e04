"""Live payments: count what arrives, close and score minutes, and save all of it.

A minute of counts that has ended is closed when it arrives, so its answer is about itself; statuses that arrive later
score it again. A minute of single transactions is closed when a later one arrives. The clock closes both too, and
minutes without rows, but only if the feed is at most `LIVE_MINUTES` behind the clock. An older feed is a file that is
being sent: its next row closes its silent minutes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from quintet.payments import slices
from quintet.payments import store as payment_store
from quintet.payments.baseline import MINUTES_PER_DAY
from quintet.payments.detector import LATENESS_MINUTES, OTHER_STATUSES, STATUSES, Detector, Step
from quintet.payments.incidents import (
    FEED,
    FIRING,
    WITHDRAWN,
    Incident,
    Point,
    to_datetime,
    to_minute,
)
from quintet.payments.items import Change, Item, Verdict
from quintet.payments.losses import BY_SHARE, Losses, record_amounts, with_amounts
from quintet.payments.opening_hours import LEARNED, OpeningHours
from quintet.payments.point_rules import GRAMMAR
from quintet.rules.following import FollowedRules
from quintet.state.store import StateStore

ALERT, OK = "alert", "ok"

AHEAD = dt.timedelta(seconds=30)
"""How far a sender's clock may be ahead of ours."""

LIVE_MINUTES = 15
"""A feed that is further behind the clock than this is historical data."""

POINTS_KEPT_MINUTES = 3 * MINUTES_PER_DAY

_GRACE = dt.timedelta(seconds=2)
_GRACE_OF_SILENCE = dt.timedelta(seconds=30)
_RECENT_MINUTES = 4 * LATENESS_MINUTES
_INPUTS_PER_CHECKPOINT = 2_000


def is_ahead(minute: int, now: dt.datetime) -> bool:
    """Return whether a minute has not begun yet, with grace for clocks that differ a little."""
    return to_datetime(minute).replace(tzinfo=dt.UTC) > now + AHEAD


class Monitor:
    """Scores live payments, and saves its state in `store`. Use it from one thread at a time.

    hours: when payments are expected, as far as the settings say. dimensions: those by which items are also counted;
    a status has then the sum of the counts of all combinations of values. losses: from which severity follows.

    After an error while writing, it is restored from the store before its next use, and the error is raised.
    Several services may have a monitor on one store: each first applies what the others have recorded, in the same
    transaction, so that all of them have the same state.
    """

    def __init__(
        self,
        store: StateStore,
        hours: OpeningHours = LEARNED,
        dimensions: Sequence[str] = (),
        losses: Losses = BY_SHARE,
    ) -> None:
        self._store, self._hours, self.dimensions, self.losses = store, hours, tuple(dimensions), losses
        self._must_load = False
        self.rules = FollowedRules(GRAMMAR)
        self.rules.refresh(store)
        with store.reading():  # another service may record meanwhile
            self._load()

    def refresh_rules(self) -> None:
        """Use the rules of the state store as they are now, for the minutes that are scored from here on."""
        if self.rules.refresh(self._store):
            self.detector.point_rules = self.rules.active

    def refresh_losses(self, now: dt.datetime) -> None:
        """Use the mean amounts of payments as they are now for severities."""
        self.losses = with_amounts(self.losses, self._store, now)
        self.detector.severity_of = self.losses.severity

    def _load(self) -> None:
        state, inputs = payment_store.load_state(self._store)
        own = (self._hours, self.rules.active, self.losses.severity)
        detector = Detector(*own) if state is None else Detector.from_json(state, *own)
        for _, minute, counts in inputs:
            _apply(detector, minute, counts)
        self.detector = detector
        self._inputs_since_checkpoint = len(inputs)
        self._last_input = payment_store.last_input(self._store)
        last = detector.last_minute
        since = -1 if last is None else last - _RECENT_MINUTES
        self._points: dict[int, dict[str, Point]] = {}
        self._incidents: dict[str, Incident] = {}
        if last is not None:
            for row in payment_store.points(self._store, since, last + 1):
                point = point_of(row)
                self._points.setdefault(point.minute, {})[point.series] = point
            for one in payment_store.incidents(self._store, since):
                if one.source == payment_store.LIVE:
                    incident = Incident(**one.fields)
                    self._incidents[incident.incident_id] = incident
        self._transactions = payment_store.transaction_counts(self._store, since)

    @property
    def unknown_statuses(self) -> tuple[str, ...]:
        """The unknown statuses that arrived, each a series of its own."""
        return tuple(status for status in self.detector.statuses if status not in STATUSES)

    def take(self, requests: Sequence[Sequence[Item]], now: dt.datetime) -> tuple[list[list[Verdict]], Change]:
        """Record and score the items of some requests, all or none; return a list of verdicts for each, in order.

        No item may be ahead of the clock, or hold a count outside its range. now: UTC, with its zone.
        """
        verdicts: list[list[Verdict]] = []
        changes: list[Change] = []
        try:
            with self._store.write() as connection:
                self._catch_up(connection)
                inputs: list[tuple[int, Mapping[str, int] | None]] = []
                for items in requests:
                    refused, change = self._take(connection, items, now, inputs)
                    changes.append(change)
                    verdicts.append([self._verdict(item, item.minute in refused) for item in items])
                together = _together(changes)
                self._keep(connection, inputs, together, now)
        except BaseException:
            self._must_load = True
            raise
        self._forget()
        return verdicts, together

    def pass_time(self, now: dt.datetime) -> Change:
        """Close the minutes that are over by the clock, if the feed is live."""
        recorded = Change([], [])
        if self._is_behind():
            with self._store.write() as connection:
                recorded = self._catch_up(connection)
        until = self._over_by(now)
        if until is None or not self.detector.has_open(until):
            return recorded
        try:
            with self._store.write() as connection:
                recorded = _together([recorded, self._catch_up(connection)])
                if not self.detector.has_open(until):
                    return recorded
                change = _as_change(self._complete(until))
                self._keep(connection, [(until, None)], change, now)
        except BaseException:
            self._must_load = True
            raise
        self._forget()
        return _together([recorded, change])

    def checkpoint(self) -> None:
        """Save the state, for a restart to repeat nothing, and delete old points."""
        if self._inputs_since_checkpoint == 0:
            return
        with self._store.write() as connection:
            self._catch_up(connection)
            self._checkpoint(connection)

    # -- other services ------------------------------------------------------------------------------------------------

    def _is_behind(self) -> bool:
        return self._must_load or payment_store.last_input(self._store) != self._last_input

    def _catch_up(self, connection: Any) -> Change:
        """Apply what other services have recorded since, and return the change; load the state after an error."""
        inputs = None if self._must_load else payment_store.inputs_after(connection, self._last_input)
        if inputs is None:
            self._load()
            self._must_load = False
            return Change([], [])
        if not inputs:
            return Change([], [])
        self._must_load = True  # until all of them are applied
        change = _together([_as_change(_apply(self.detector, minute, counts)) for _, minute, counts in inputs])
        self._remember(change)
        since = -1 if self.detector.last_minute is None else self.detector.last_minute - _RECENT_MINUTES
        self._transactions = payment_store.transaction_counts(self._store, since)
        self._inputs_since_checkpoint += len(inputs)
        self._last_input = inputs[-1][0]
        self._must_load = False
        return change

    # -- taking --------------------------------------------------------------------------------------------------------

    def _take(
        self,
        connection: Any,
        items: Sequence[Item],
        now: dt.datetime,
        inputs: list[tuple[int, Mapping[str, int] | None]],
    ) -> tuple[set[int], Change]:
        """Count and score the items of one request; return the minutes that were settled before."""
        refused: set[int] = set()
        changes: list[Change] = []
        for minute, of_minute in groupby(sorted(items, key=attrgetter("minute")), attrgetter("minute")):
            if self.detector.is_settled(minute):
                refused.add(minute)
                continue
            counts, is_whole = self._counts(connection, minute, list(of_minute))
            if counts:
                changes.append(_as_change(self.detector.record(to_datetime(minute), counts)))
                inputs.append((minute, counts))
            has_ended = to_datetime(minute + 1).replace(tzinfo=dt.UTC) <= now
            closed = minute if is_whole and has_ended else minute - 1
            if self.detector.has_open(closed):
                changes.append(_as_change(self._complete(closed)))
                inputs.append((closed, None))
        change = _together(changes)
        self._remember(change)
        return refused, change

    def _counts(self, connection: Any, minute: int, items: Sequence[Item]) -> tuple[dict[str, int], bool]:
        """Return the new counts of a minute, and whether they are complete."""
        counts: dict[str, int] = {}
        added: list[Item] = []
        for item in items:
            if item.transaction_id is None:
                counts[item.status] = item.count
            elif payment_store.add_transaction(connection, item.transaction_id, item.status, minute):
                total = self._transactions.get((minute, item.status), 0) + 1
                self._transactions[minute, item.status] = total
                counts[item.status] = total
                added.append(item)
        of_minutes = [item for item in items if item.transaction_id is None]
        record_amounts(connection, [*added, *of_minutes])
        if self.dimensions:
            slices.record_transactions(connection, minute, added)
            counts |= slices.record_counts(connection, minute, of_minutes)
        return counts, bool(of_minutes)

    def _complete(self, minute: int) -> Step:
        return self.detector.complete(to_datetime(minute))

    def _over_by(self, now: dt.datetime) -> int | None:
        """Return the last minute that is over by the clock, None if the feed is not live."""
        newest = self.detector.newest_minute
        if newest is None:
            return None
        with_rows = to_minute(now - _GRACE) - 1
        if with_rows - newest > LIVE_MINUTES:
            return None
        silent = to_minute(now - _GRACE_OF_SILENCE) - 1
        return max(silent, min(with_rows, newest))

    # -- keeping -------------------------------------------------------------------------------------------------------

    def _keep(
        self,
        connection: Any,
        inputs: Sequence[tuple[int, Mapping[str, int] | None]],
        change: Change,
        now: dt.datetime,
    ) -> None:
        self._remember(change)
        self._last_input = payment_store.add_inputs(connection, inputs) or self._last_input
        payment_store.save_points(connection, [tuple(point) for point in change.points])
        for incident in change.incidents:
            payment_store.save_incident(connection, incident.incident_id, payment_store.LIVE, list(incident), now)
        if self.dimensions:
            self._explain(connection, change, now)
        self._inputs_since_checkpoint += len(inputs)
        if self._inputs_since_checkpoint >= _INPUTS_PER_CHECKPOINT:
            self._checkpoint(connection)

    def _explain(self, connection: Any, change: Change, now: dt.datetime) -> None:
        """Write the values that explain the incidents whose worst point is new, and train on settled minutes."""
        worst = {(one.series, one.score): one.minute for one in change.points if one.is_anomalous}
        for incident in change.incidents:
            minute = worst.get((incident.series, incident.peak_score))
            if minute is not None and incident.state == FIRING:
                slices.explain_incident(connection, self.dimensions, incident, minute, now)
        if self.detector.last_minute is not None:
            slices.train(connection, self.dimensions, self.detector.last_minute - LATENESS_MINUTES)

    def _checkpoint(self, connection: Any) -> None:
        payment_store.save_checkpoint(connection, payment_store.last_input(self._store), self.detector.to_json())
        self._inputs_since_checkpoint = 0
        last = self.detector.last_minute
        if last is not None:
            payment_store.forget_before(connection, last - POINTS_KEPT_MINUTES, last - _RECENT_MINUTES)

    def _remember(self, change: Change) -> None:
        for point in change.points:
            self._points.setdefault(point.minute, {})[point.series] = point
        self._incidents |= {incident.incident_id: incident for incident in change.incidents}

    def _forget(self) -> None:
        last = self.detector.last_minute
        if last is None or len(self._points) <= 2 * _RECENT_MINUTES:
            return
        since = last - _RECENT_MINUTES
        self._points = {minute: points for minute, points in self._points.items() if minute >= since}
        self._transactions = {key: count for key, count in self._transactions.items() if key[0] >= since}
        self._incidents = {
            key: one for key, one in self._incidents.items() if one.ended_minute is None or one.ended_minute >= since
        }

    # -- answering -----------------------------------------------------------------------------------------------------

    def _verdict(self, item: Item, is_settled: bool) -> Verdict:
        if is_settled:
            reason = (
                f"The minute is settled: counts may arrive up to {LATENESS_MINUTES} minutes after the last complete "
                "minute. Nothing was changed."
            )
            return Verdict(item, OK, reason, False, None, None)
        last = self.detector.last_minute
        if last is None:
            return Verdict(item, OK, "The minute is not complete, and none was scored yet.", True, None, None)
        scored = min(item.minute, last)
        points = self._points.get(scored, {})
        point = points.get(item.series) or points.get(OTHER_STATUSES) or points.get(FEED)
        if point is None:
            return Verdict(item, OK, "The status has no series yet.", True, None, None)
        incident_id = self._incident_at(point)
        recommendation = ALERT if point.is_anomalous or (incident_id and point.is_elevated) else OK
        reason = point.reason
        if scored < item.minute:
            reason = f"The minute is not complete; of {to_datetime(scored):%H:%M}: {reason}"
        return Verdict(item, recommendation, reason, True, point, incident_id)

    def _incident_at(self, point: Point) -> str | None:
        for incident in self._incidents.values():
            if incident.series != point.series or incident.state == WITHDRAWN or incident.started_minute > point.minute:
                continue
            if incident.state == FIRING or (incident.ended_minute or 0) > point.minute:
                return incident.incident_id
        return None


def _apply(detector: Detector, minute: int, counts: Mapping[str, int] | None) -> Step:
    if counts is None:
        return detector.complete(to_datetime(minute))
    return detector.record(to_datetime(minute), counts)


def _as_change(step: Step) -> Change:
    return Change(step.points, step.incidents)


def _together(changes: Iterable[Change]) -> Change:
    """Merge changes: the last state of each point and incident."""
    points: dict[tuple[int, str], Point] = {}
    incidents: dict[str, Incident] = {}
    for change in changes:
        points |= {(point.minute, point.series): point for point in change.points}
        incidents |= {incident.incident_id: incident for incident in change.incidents}
    return Change(list(points.values()), list(incidents.values()))


def point_of(row: Sequence[Any]) -> Point:
    """Return the point of a row of the store."""
    point = Point(*row)
    return point._replace(
        is_anomalous=bool(point.is_anomalous),
        is_sustained=bool(point.is_sustained),
        is_elevated=bool(point.is_elevated),
        is_bad=bool(point.is_bad),
    )
