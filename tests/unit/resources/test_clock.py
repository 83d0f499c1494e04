"""The clock returns UTC without zone."""

import datetime as dt
import time

import pytest

from resources.clock import Clock


def test_a_fixed_moment_is_turned_to_utc() -> None:
    assert Clock(at="2026-01-01T02:00:00+02:00").now() == dt.datetime(2026, 1, 1)


def test_without_a_fixed_moment_it_is_now_in_utc_whatever_the_zone_of_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        before, now, after = time.time(), Clock().now(), time.time()
    finally:
        monkeypatch.undo()
        time.tzset()
    assert now.tzinfo is None
    assert before <= now.replace(tzinfo=dt.UTC).timestamp() <= after
