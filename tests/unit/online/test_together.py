"""Doing for many callers what they ask for at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from quintet.online.together import Together

WAIT = 10


def test_callers_that_come_during_work_are_one_group_and_each_gets_its_own_result() -> None:
    groups: list[list[int]] = []
    begun, go_on = threading.Event(), threading.Event()

    def work(items: list[int]) -> list[int]:
        groups.append(items)
        begun.set()
        assert go_on.wait(WAIT)
        return [item * 10 for item in items]

    together = Together(work)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(together.run, 1)
        assert begun.wait(WAIT)
        later = [pool.submit(together.run, item) for item in (2, 3, 4)]
        while len(together._waiting) < len(later):
            threading.Event().wait(0.001)
        go_on.set()
        assert [each.result(WAIT) for each in (first, *later)] == [10, 20, 30, 40]
    assert groups[0] == [1]
    assert sorted(groups[1]) == [2, 3, 4]


def test_an_error_reaches_every_caller_of_the_group_and_the_next_group_is_worked_on() -> None:
    def work(items: list[int]) -> list[int]:
        return [1 // item for item in items]

    together = Together(work)
    with pytest.raises(ZeroDivisionError):
        together.run(0)
    assert together.run(1) == 1


def test_work_that_leaves_a_result_out_is_told() -> None:
    with pytest.raises(ValueError, match="zip"):
        Together[int, int](lambda items: items[1:]).run(1)


def test_many_callers_each_get_their_own_and_none_waits_for_ever() -> None:
    at_work, sizes = threading.Lock(), []

    def work(items: list[int]) -> list[int]:
        assert at_work.acquire(blocking=False), "two groups at a time"
        sizes.append(len(items))
        threading.Event().wait(0.0005)
        at_work.release()
        return [-item for item in items]

    together = Together(work)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(together.run, range(400), timeout=WAIT)) == [-item for item in range(400)]
    assert sum(sizes) == 400
    assert max(sizes) > 1
