"""An evaluation is computed once for each code version, and not at all if it is shipped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from quintet import evaluations
from quintet.evaluations import Evaluation, evaluated, write
from tests.waiting import LONG_SECONDS

FRAME = pd.DataFrame(
    {
        "name": ["a", None],
        "share": [0.1, None],
        "at": pd.to_datetime(["2024-01-01 02:03:04", None]),
        "is_found": [True, False],
    }
)


def never() -> dict[str, pd.DataFrame]:
    raise AssertionError("it is there already")


def evaluation(compute: Callable[[], Mapping[str, pd.DataFrame]]) -> Evaluation:
    return Evaluation("comparison", ["quintet.ml.statistics"], compute)


def test_the_second_call_computes_nothing_and_returns_the_same_frames(tmp_path: Path) -> None:
    first = evaluated(evaluation(lambda: {"ml.one": FRAME, "two": FRAME[:0]}), tmp_path)
    again = evaluated(evaluation(never), tmp_path)

    assert set(first) == set(again) == {"ml.one", "two"}
    pd.testing.assert_frame_equal(first["ml.one"], FRAME, check_dtype=False)
    pd.testing.assert_frame_equal(again["ml.one"], first["ml.one"])


def test_other_code_computes_its_own_and_removes_the_former(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version, rows in (("a", 2), ("b", 1)):
        monkeypatch.setattr(evaluations, "code_version", lambda *_, version=version: version)
        assert len(evaluated(evaluation(lambda rows=rows: {"one": FRAME[:rows]}), tmp_path)["one"]) == rows
    assert [path.name for path in (tmp_path / "comparison").iterdir()] == ["b"]


def test_what_was_shipped_by_the_same_code_is_not_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(evaluation(lambda: {"one": FRAME}), tmp_path / "shipped")
    assert len(evaluated(evaluation(never), tmp_path / "home", tmp_path / "shipped")["one"]) == 2
    assert not (tmp_path / "home").exists()

    monkeypatch.setattr(evaluations, "code_version", lambda *_: "other")
    changed = evaluated(evaluation(lambda: {"one": FRAME[:1]}), tmp_path / "home", tmp_path / "shipped")
    assert len(changed["one"]) == 1


def test_while_one_computes_others_wait_and_then_read(tmp_path: Path) -> None:
    begun, ended = threading.Event(), threading.Event()

    def slowly() -> dict[str, pd.DataFrame]:
        begun.set()
        ended.wait(LONG_SECONDS)
        return {"one": FRAME}

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(evaluated, evaluation(slowly), tmp_path)
        begun.wait(LONG_SECONDS)
        second = threads.submit(evaluated, evaluation(never), tmp_path)
        ended.set()
        assert set(first.result()) == set(second.result()) == {"one"}


def test_what_was_not_finished_is_computed_from_scratch(tmp_path: Path) -> None:
    def fails() -> dict[str, pd.DataFrame]:
        raise ValueError("half-way")

    with pytest.raises(ValueError, match="half-way"):
        evaluated(evaluation(fails), tmp_path)

    (tmp_path / "comparison" / "unfinished").mkdir(parents=True)
    assert len(evaluated(evaluation(lambda: {"one": FRAME}), tmp_path)["one"]) == 2
