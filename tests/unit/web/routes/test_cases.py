"""Which cases are checked before one verdict on several."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from quintet.cases.store import OPEN, Case
from quintet.web.routes.cases import one_of_each_group

NOW = dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC)


def a_case(number: int, group_id: str | None, domain: str = "payments") -> Case:
    return replace(CASE, case_id=f"{number:016x}", group_id=group_id, domain=domain)


CASE = Case(
    "", "", "file", "sales a", None, "", None, "a title", "why", None, 1.0, "build", 1.0, NOW, OPEN, None, None, None,
    None, 1, NOW, "build",
)  # fmt: skip


def test_the_first_case_of_each_group_and_each_without_one_are_checked() -> None:
    cases = [
        a_case(1, "sales x"),
        a_case(2, "sales x"),
        a_case(3, None),
        a_case(4, None),
        a_case(5, "sales y"),
        a_case(6, "sales x", "lending"),
    ]

    assert [int(case.case_id, 16) for case in one_of_each_group(cases)] == [1, 3, 4, 5, 6]
    assert one_of_each_group([]) == []
