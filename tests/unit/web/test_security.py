"""The rate limit of keys."""

from __future__ import annotations

import datetime as dt

from quintet.web.security import Allowance

MINUTE = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def test_each_key_has_its_own_limit() -> None:
    allowance = Allowance(3, lambda: MINUTE + dt.timedelta(seconds=20))

    assert [allowance.take("a") for _ in range(5)] == [None, None, None, 40, 40]
    assert allowance.take("b") is None


def test_the_window_slides_over_the_turn_of_the_minute() -> None:
    now = [MINUTE + dt.timedelta(seconds=59)]
    allowance = Allowance(60, lambda: now[0])
    for _ in range(60):
        allowance.take("a")
    now[0] += dt.timedelta(seconds=2)
    taken = sum(allowance.take("a") is None for _ in range(60))
    now[0] += dt.timedelta(minutes=2)

    assert taken == 1
    assert sum(allowance.take("a") is None for _ in range(99)) == 60
