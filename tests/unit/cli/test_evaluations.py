"""The shipped evaluations were computed by the current code."""

from __future__ import annotations

from pathlib import Path

from cli.evaluations import ALL, outdated


def test_every_evaluation_was_computed_by_the_current_code() -> None:
    names = [one.name for one in outdated()]
    assert names == [], "run `python -m cli.evaluations` and commit quintet/shipped"


def test_an_evaluation_by_other_code_is_found(tmp_path: Path) -> None:
    for one in ALL[1:]:
        (tmp_path / one.name / one.code_version).mkdir(parents=True)
    (tmp_path / ALL[0].name / "0123456789abcdef").mkdir(parents=True)
    assert outdated(tmp_path) == [ALL[0]]
