"""The circuit breaker of the scoring endpoint."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from quintet.lending.endpoint import Breaker


def test_it_opens_after_failures_in_a_row_and_lets_one_try_after_the_pause() -> None:
    now = [0.0]
    breaker = Breaker(3, 5.0, lambda: now[0])
    for _ in range(3):
        assert breaker.may_try()
        breaker.failed()
    assert breaker.is_open
    assert not breaker.may_try()
    now[0] = 5.0
    assert breaker.may_try()
    assert not breaker.may_try()  # one tries for all
    breaker.failed()
    now[0] = 9.9
    assert not breaker.may_try()
    now[0] = 10.0
    assert breaker.may_try()
    breaker.succeeded()
    assert breaker.may_try()


def test_a_success_between_failures_keeps_it_closed() -> None:
    breaker = Breaker(2, 5.0, lambda: 0.0)
    for _ in range(5):
        breaker.failed()
        breaker.succeeded()
    assert breaker.may_try()


@given(st.lists(st.floats(0, 3), max_size=60))
def test_it_never_lets_through_more_than_one_a_pause_while_all_fail(waits: list[float]) -> None:
    now = [0.0]
    breaker = Breaker(3, 5.0, lambda: now[0])
    tried: list[float] = []
    for wait in waits:
        now[0] += wait
        if breaker.may_try():
            tried.append(now[0])
            breaker.failed()
    assert all(later - earlier >= 5.0 for earlier, later in itertools.pairwise(tried[2:]))
