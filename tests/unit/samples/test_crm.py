"""The simulated CRM's bookkeeping; the simulation itself runs in `tests/faults/test_decision_kill.py`."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from quintet.samples.crm import main
from quintet.samples.crm_tally import Tally


def test_what_was_committed_and_never_answered_is_lost() -> None:
    tally = Tally(committed={1, 2, 3}, answers={1: {"a"}, 3: {"c"}})
    assert (tally.lost, tally.doubled) == ({2}, set())


def test_what_was_answered_in_two_ways_is_doubled() -> None:
    tally = Tally(committed={1}, answers={1: {"a", "b"}})
    assert (tally.lost, tally.doubled) == (set(), {1})
    assert "lost 0, doubled 1" in tally.in_words()


def test_percentiles_are_of_what_was_not_interrupted() -> None:
    tally = Tally(milliseconds=[float(number) for number in range(1, 101)], repeated_milliseconds=[9_000.0])
    assert tally.percentile(50) == pytest.approx(50.5)
    assert tally.percentile(99) == pytest.approx(99.01)
    assert "1 had to be requested" in tally.in_words()
    assert math.isnan(Tally().percentile(50))
    assert Tally(milliseconds=[7.0]).percentile(99) == 7.0


def test_without_a_database_it_says_how_to_start_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("QUINTET_HOME", str(tmp_path))
    assert main([]) == 2
    assert "make up" in capsys.readouterr().err
    assert main(["--postgres", "postgresql://nobody@127.0.0.1:1/none"]) == 2
    assert "does not answer" in capsys.readouterr().err


def test_a_rate_of_nothing_is_refused() -> None:
    with pytest.raises(SystemExit):
        main(["--rate", "0"])
