"""A contestant answers in lines of JSON, whatever its libraries print, and a silent or dead one is an error."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.field_contestant import Contestant
from bench.measure import BenchError

_ANSWERS = f"""
import json, sys
sys.path.insert(0, {str(Path(__file__).parents[3] / "bench")!r})
from field_answers import answers
answer = answers()
"""


def contestant(folder: Path, script: str) -> Contestant:
    return Contestant([sys.executable, "-c", _ANSWERS + script], folder / "contestant.log")


def test_it_answers_each_question_though_its_libraries_print(tmp_path: Path) -> None:
    doubling = "for line in sys.stdin:\n    print('a library greets')\n    answer(2 * json.loads(line))"
    with contestant(tmp_path, doubling) as one:
        assert [one.ask(number) for number in (1, 2)] == [2, 4]
    assert "a library greets" in (tmp_path / "contestant.log").read_text("utf-8")


def test_two_answers_that_arrive_together_are_two(tmp_path: Path) -> None:
    with contestant(tmp_path, "answer('a' * 100_000)\nanswer('b')") as one:
        assert one.answer() == "a" * 100_000
        assert one.answer() == "b"


def test_one_that_ends_is_an_error_with_its_last_lines(tmp_path: Path) -> None:
    with (
        contestant(tmp_path, "sys.exit('there is no Java')") as one,
        pytest.raises(BenchError, match=r"contestant ended\n  there is no Java"),
    ):
        one.ask("a question")


def test_one_that_is_silent_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.field_contestant._SECONDS_TO_ANSWER", 0.01)
    with contestant(tmp_path, "sys.stdin.read()") as one, pytest.raises(BenchError, match="did not answer"):
        one.answer()
