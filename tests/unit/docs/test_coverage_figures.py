"""The published coverage is that of the run, and a run with failures publishes nothing."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from docs.coverage_figures import BEGIN, END, PAGE, render, written

DAY = dt.date(2026, 11, 30)


def _file(covered_lines: int, lines: int, covered_branches: int = 0, branches: int = 0) -> dict[str, Any]:
    counts = {"covered_lines": covered_lines, "num_statements": lines}
    return {"summary": counts | {"covered_branches": covered_branches, "num_branches": branches}}


MEASURED = {
    "files": {
        "quintet/rules/store.py": _file(30, 40, 5, 10),
        "quintet/rules/lists.py": _file(10, 10),
        "quintet/plan.py": _file(50, 50, 1, 1),
        "cli/keys.py": _file(0, 100, 0, 4),
    }
}


def _junit(failures: int = 0, errors: int = 0) -> str:
    suite = f'<testsuite tests="12" skipped="2" failures="{failures}" errors="{errors}"/>'
    return f"<testsuites>{suite}</testsuites>"


def test_lines_and_branches_are_summed_by_package_the_least_covered_first() -> None:
    figures = render(MEASURED, _junit(), DAY)

    assert "on 2026-11-30 by `make coverage`, 10 tests passed and 2 skipped" in figures
    assert "**45.0% of 200 lines** and 40.0% of 15 branches" in figures
    assert figures.splitlines()[4:] == [
        "| `cli` | 100 | 0.0% | 4 | 0.0% |",
        "| `quintet/rules` | 50 | 80.0% | 10 | 50.0% |",
        "| `quintet` | 50 | 100.0% | 1 | 100.0% |",
    ]


@pytest.mark.parametrize("broken", [{"failures": 1}, {"errors": 1}])
def test_a_suite_that_fails_publishes_no_figure(broken: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="1 of 12 tests failed; fix them"):
        render(MEASURED, _junit(**broken), DAY)


def test_figures_replace_those_before_and_nothing_else() -> None:
    once = written(f"above\n{BEGIN}\n{END}\nbelow", "first")
    twice = written(once, r"second \1")

    assert twice == f"above\n{BEGIN}\nsecond \\1\n{END}\nbelow"
    assert BEGIN in PAGE.read_text("utf-8")


def test_a_page_without_a_place_for_the_figures_is_named() -> None:
    with pytest.raises(ValueError, match="needs one place for the figures"):
        written("no marks", "figures")
