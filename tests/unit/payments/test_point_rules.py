"""Rules over the statistics of a minute: what they raise and suppress, live and in a batch alike."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from quintet.domains import open_state_store
from quintet.payments.backtest import detect_batch
from quintet.payments.incidents import Point, to_minute
from quintet.payments.items import Item
from quintet.payments.monitor import Monitor
from quintet.payments.point_rules import apply_rules
from quintet.rules.store import RuleChange, record_change
from tests.unit.payments.ruled_minutes import evaluator, minutes
from tests.unit.rules.rule_texts import rules_of

MONDAY = to_minute(dt.datetime(2024, 1, 1, 10, 30))
NOW = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)


def point(series: str = "denied", **changes: object) -> Point:
    usual = Point(series, MONDAY, 2.0, 4.0, 9, 5, 3, 0.0, 8.0, 90)
    return usual._replace(**changes)  # type: ignore[arg-type]


ANOMALOUS = point(
    rule="rate_tail", is_anomalous=True, is_sustained=True, is_elevated=True, is_bad=True, started_minute=MONDAY - 3
)


@pytest.mark.parametrize(
    ("when", "applies"),
    [
        ('series = "denied" and hour = 10 and weekday = "mon"', True),
        ('weekday = "tue"', False),
        ("hour = 11", False),
        ("observed = 9 and expected = 4 and excess = 5", True),
        ("share = 0.1 and minute_count = 3 and window_minutes = 5 and score = 2", True),
        ("is_anomalous is true", False),
    ],
)
def test_a_rule_names_the_statistics_of_the_minute(when: str, applies: bool) -> None:
    (found,) = apply_rules([point()], evaluator((when, "raise")), MONDAY)
    assert (found.is_anomalous, found.rule) == (applies, "R0" if applies else "")


def test_a_raised_point_fires_at_once_from_its_minute_on() -> None:
    (found,) = apply_rules([point()], evaluator(("observed >= 9", "raise")), MONDAY)
    assert (found.is_sustained, found.is_bad, found.started_minute) == (True, True, MONDAY)
    assert found.reason == "9 denied in 5 minutes, where about 4 were expected: rule R0 raises it."


def test_a_point_that_is_anomalous_by_itself_keeps_its_rule_and_start() -> None:
    (found,) = apply_rules([ANOMALOUS], evaluator(("observed >= 9", "raise")), MONDAY)
    assert found == ANOMALOUS


def test_a_suppressed_point_recommends_nothing_and_suppressing_wins() -> None:
    rules = evaluator(("observed >= 5", "raise"), ('series = "denied"', "suppress"))
    suppressed, raised = apply_rules([ANOMALOUS, point("failed")], rules, MONDAY)
    assert (suppressed.is_anomalous, suppressed.is_elevated, suppressed.is_bad, suppressed.rule) == (False,) * 3 + ("",)
    assert raised.is_anomalous


def test_without_rules_points_stay() -> None:
    assert apply_rules([ANOMALOUS], None, MONDAY) == [ANOMALOUS]


def incidents(burst: int, *rules: tuple[str, str]) -> list[tuple[str, str]]:
    _, found = detect_batch(minutes(burst), with_points=False, point_rules=evaluator(*rules) if rules else None)
    return list(found[["series", "rule"]].itertuples(index=False, name=None))


def test_rules_suppress_and_raise_incidents_of_a_batch() -> None:
    assert [series for series, _ in incidents(60)] == ["denied"]
    assert incidents(60, ('series = "denied" and hour = 11', "suppress")) == []
    assert [series for series, _ in incidents(60, ('series = "denied" and hour = 10', "suppress"))] == ["denied"]
    assert incidents(3) == []
    assert incidents(3, ('series = "denied" and minute_count >= 3', "raise")) == [("denied", "R0")]


@pytest.mark.parametrize("rule", [('series = "denied" and hour = 11', "suppress"), ("minute_count >= 60", "raise")])
def test_live_traffic_is_ruled_as_the_batch(tmp_path: Path, rule: tuple[str, str]) -> None:
    store = open_state_store(tmp_path)
    record_change(store, RuleChange("payments", "activate", "1", rules_of(rule), NOW, "Ana"))
    monitor = Monitor(store)
    live = {}
    for at, of_minute in minutes(60).groupby("minute_at"):
        minute = to_minute(at.to_pydatetime())  # type: ignore[attr-defined]
        counts = zip(of_minute["status"], of_minute["count"].tolist(), strict=True)
        _, change = monitor.take([[Item(minute, status, count) for status, count in counts]], NOW)
        live |= {one.incident_id: (one.series, one.rule) for one in change.incidents}
    store.close()
    assert sorted(live.values()) == sorted(incidents(60, rule))


def test_rules_saved_while_the_monitor_runs_apply_from_then_on(tmp_path: Path) -> None:
    store = open_state_store(tmp_path)
    monitor = Monitor(store)
    assert monitor.detector.point_rules is None
    record_change(store, RuleChange("payments", "activate", "1", rules_of(("score > 1", "raise")), NOW, "Ana"))
    monitor.refresh_rules()
    assert monitor.detector.point_rules is not None
    assert monitor.detector.point_rules.rules.version == "1"
    assert Monitor(store).detector.point_rules is not None
    store.close()
