"""What counts as lost and as sent twice, in the messages of a sender."""

from __future__ import annotations

from typing import Any

import pytest

from bench.alerts import Receiver
from bench.field_messages import Outcome, Sender, Server, lines
from bench.measure import Line

SERVER = Server(["none"], {}, "http://127.0.0.1:1")


def sender(*messages: list[str]) -> Sender:
    receiver = Receiver()
    one = Sender(SERVER, receiver, lambda _: None, lambda _: None, lambda body: body["named"])
    one.begin(["before"])
    receiver.received += [(float(at), {"named": named}) for at, named in enumerate(messages)]
    return one


@pytest.mark.parametrize(
    ("messages", "lost", "doubled", "in_messages"),
    [
        ([["a", "b"]], 0, 0, 1),
        ([["a"], ["b"]], 0, 0, 2),
        ([["a"]], 1, 0, 1),
        ([["a", "b"], ["a"]], 0, 1, 2),
        ([["a", "b"], ["c"], []], 0, 0, 1),
        ([], 2, 0, 0),
    ],
)
def test_each_series_is_named_once(messages: list[list[str]], lost: int, doubled: int, in_messages: int) -> None:
    one = sender()
    event = one.begin(["a", "b"])
    one.receiver.received += [(1.0, {"named": named}) for named in messages]
    tally = one.tally(event)
    assert (tally["lost"], tally["doubled"], len(one.arrivals(event))) == (lost, doubled, in_messages)


def test_messages_before_an_event_are_not_of_it() -> None:
    one = sender(["a"])
    assert one.tally(one.begin(["a"]))["lost"] == 1


def test_the_last_series_named_ends_the_wait_and_a_missing_one_is_none() -> None:
    one = sender()
    event = one.begin(["a", "b"])
    one.receiver.received += [(3.0, {"named": ["a"]}), (5.0, {"named": ["b"]}), (9.0, {"named": ["a"]})]
    assert one.await_all(event, 1.0) == 5.0
    assert one.await_all(one.begin(["c"]), 0.0) is None


def outcome(seconds: float, **kill: Any) -> Outcome:
    found = Outcome([seconds], [1], 0.5)
    found.kill.update(kill)
    return found


def verdicts(own: Outcome, theirs: Outcome | None) -> list[bool]:
    found: list[Line] = lines(own, theirs, "" if theirs else "skipped", quick=False)
    return [line.holds for line in found if line.limit]


def test_one_that_is_later_or_loses_more_is_not_first() -> None:
    assert verdicts(outcome(2.0), outcome(2.1, doubled=12)) == [True] * 4
    assert verdicts(outcome(2.3), outcome(2.1)) == [False, True, True, True]
    assert verdicts(outcome(2.0, lost=1), outcome(2.1)) == [True, True, True, False]
    assert verdicts(outcome(2.0), None) == []
