"""The report of all benchmarks."""

from __future__ import annotations

import datetime as dt
import platform
import sys
from pathlib import Path

from bench.listing import Bench
from bench.measure import FAILED, HOLDS, MISSED, PROJECT, SKIPPED
from bench.report import Outcome, report, run_all

_AT = dt.datetime(2026, 11, 29, 18, 30, tzinfo=dt.UTC)
_LINE = {"what": "a|b", "figure": "9 ms", "limit": "at most 5 ms", "comparator": "theirs 12 ms", "verdict": "MISSED"}
_TABLE = {"title": "Service", "load": 1.5, "lines": [_LINE]}


def outcome(name: str, status: int, message: str = "") -> Outcome:
    tables = [_TABLE] if status in (HOLDS, MISSED) else []
    return Outcome(Bench(name, f"What {name} measures.", "1 minute"), status, 61.2, tables, message)


def test_the_report_has_machine_date_command_and_tables() -> None:
    text = report([outcome("api", MISSED)], [], _AT)
    assert "Made by `python -m bench all`" in text
    assert "| date | 2026-11-29 18:30 UTC |" in text
    assert all(f"| {name} |" in text for name in ("commit", "processor", "memory", "load at the end", "Python"))
    assert "`python -m bench api`, 61 s: **a limit is missed**" in text
    assert "| a\\|b | 9 ms | at most 5 ms | theirs 12 ms | MISSED |" in text
    assert "quick version" not in text


def test_a_quick_report_is_marked_and_names_the_full_command() -> None:
    text = report([outcome("api", HOLDS)], ["--quick"], _AT)
    assert "quick version" in text
    assert "`python -m bench all`" in text
    assert "`python -m bench api --quick`" in text


def test_the_report_names_no_place_of_this_machine() -> None:
    where = f"OSError: {PROJECT}/data and {sys.base_prefix}/lib and {Path.home()}/.cache"
    text = report([outcome("api", FAILED, f"api: failed: {where}")], [], _AT)
    assert "> api: failed: OSError: ./data" in text
    assert not any(place in text for place in (str(PROJECT), f"{Path.home()}/"))
    assert platform.node() not in text.split()


def test_only_what_is_absent_does_not_fail_the_whole() -> None:
    failed = [outcome("one", status).is_failed for status in (HOLDS, SKIPPED, MISSED, FAILED, -9)]
    assert failed == [False, False, True, True, True]


def test_all_go_on_when_one_fails() -> None:
    missing = [Bench(name, "", "") for name in ("no_such_bench", "nor_this_one")]
    assert [one.status for one in run_all(missing, ["--quick"])] == [2, 2]
