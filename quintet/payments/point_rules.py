"""Rules over the statistics of a minute: they raise an incident where the detector sees none, or suppress one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from quintet.payments import rules
from quintet.payments.incidents import Point, to_datetime
from quintet.rules.evaluate import Column, Evaluator, Texts
from quintet.rules.figures import RuleFigure, RuleGrammar, by_name

SUPPRESS, RAISE = "suppress", "raise"

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _share(point: Point) -> float:
    return point.observed / point.exposure if point.exposure else float("nan")


_NUMBERS: Mapping[str, tuple[Callable[[Point], float], str, str]] = {
    "observed": (lambda point: point.observed, "", "Count in the window with the lowest probability."),
    "expected": (lambda point: point.expected, "", "Expected count in that window."),
    "excess": (lambda point: point.observed - point.expected, "", "Observed minus expected count."),
    "share": (_share, "", "Observed count as a share of those approved or denied in the window."),
    "minute_count": (lambda point: point.minute_count, "", "Count of the minute."),
    "window_minutes": (lambda point: point.window_minutes, "minutes", "Length of the window."),
    "score": (lambda point: point.score, "", "Minus the decimal logarithm of the probability of such a count."),
}

GRAMMAR = RuleGrammar(
    domain="payments",
    figures=by_name(
        [
            *(RuleFigure(name, "number", what, unit) for name, (_, unit, what) in _NUMBERS.items()),
            RuleFigure("series", "text", "A status, `volume` or `feed`."),
            RuleFigure("weekday", "text", "mon, tue, wed, thu, fri, sat or sun, in the time zone of payments."),
            RuleFigure("hour", "number", "Hour of the day, 0 to 23, in the time zone of payments.", "hours"),
            RuleFigure("is_anomalous", "flag", "Whether the detector recommends an alert."),
        ]
    ),
    decisions=(SUPPRESS, RAISE),
    subject="minute",
)


def apply_rules(points: Sequence[Point], evaluator: Evaluator | None, local_minute: int) -> list[Point]:
    """Return the points of a minute after the rules.

    A suppressed point recommends nothing and keeps no incident open. A raised one fires at once, and its rule is the
    code of the first that applies. local_minute: the minute in the time zone of payments, counted from 1970.
    """
    if evaluator is None or not points:
        return list(points)
    at = to_datetime(local_minute)
    columns = {name: _column(name, points, at) for name in evaluator.needs}
    at_s = to_datetime(points[0].minute).replace(tzinfo=dt.UTC).timestamp()
    found = evaluator.decide(columns, len(points), at_s)
    codes = found.reasons()
    return [
        _changed(point, None if place < 0 else GRAMMAR.decisions[place], codes[row][0] if codes[row] else "")
        for row, (point, place) in enumerate(zip(points, found.decision.tolist(), strict=True))
    ]


def _column(name: str, points: Sequence[Point], at: dt.datetime) -> Column:
    if name in _NUMBERS:
        value = _NUMBERS[name][0]
        return np.array([value(point) for point in points], dtype=float)
    if name == "series":
        return Texts.of([point.series for point in points])
    if name == "weekday":
        return Texts.of([_WEEKDAYS[at.weekday()]] * len(points))
    if name == "hour":
        return np.full(len(points), float(at.hour))
    return np.array([float(point.is_anomalous) for point in points])


def _changed(point: Point, decision: str | None, code: str) -> Point:
    if decision == SUPPRESS:
        return point._replace(
            rule=rules.NO_RULE, is_anomalous=False, is_sustained=False, is_elevated=False, is_bad=False
        )
    if decision == RAISE:
        return point._replace(
            rule=point.rule or code,
            is_anomalous=True,
            is_sustained=True,
            is_elevated=True,
            is_bad=True,
            started_minute=point.started_minute if point.is_anomalous else point.minute,
        )
    return point
