"""Rules are tested on the stored minutes before they raise or suppress anything."""

from __future__ import annotations

import duckdb

from quintet.payments.opening_hours import LEARNED
from quintet.payments.rule_history import backtest
from tests.unit.payments.ruled_minutes import evaluator, minutes

NONE = ("score > 1000", "raise")
SUPPRESSING = ('series = "denied"', "suppress")
RAISING = ('series = "denied" and minute_count = 60', "raise")


def test_a_backtest_names_the_incidents_that_are_suppressed_and_raised() -> None:
    with duckdb.connect() as connection:
        connection.register("given", minutes(60))
        connection.execute("create schema marts; create table marts.fct_payment_minutes as from given").fetchall()
        suppressed = backtest(connection, None, evaluator(SUPPRESSING), LEARNED)
        raised = backtest(connection, evaluator(SUPPRESSING), evaluator(RAISING), LEARNED)
        same = backtest(connection, None, evaluator(NONE), LEARNED)

    assert (suppressed.minutes, suppressed.before, suppressed.after) == (180, 1, 0)
    assert suppressed.suppressed["series"].tolist() == ["denied"]
    assert suppressed.raised.empty
    assert (raised.before, raised.after, raised.raised["series"].tolist()) == (0, 1, ["denied"])
    assert same.suppressed.empty
    assert same.raised.empty
