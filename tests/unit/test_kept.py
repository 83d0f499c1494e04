"""What is kept is what was made, once for each version of the code."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from quintet.kept import kept_frames
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


def test_the_second_time_nothing_is_made_and_the_frames_are_the_same(tmp_path: Path) -> None:
    first = kept_frames(tmp_path / "kept", "a", lambda: {"ml.one": FRAME, "two": FRAME[:0]})
    again = kept_frames(tmp_path / "kept", "a", never)

    assert set(first) == set(again) == {"ml.one", "two"}
    pd.testing.assert_frame_equal(first["ml.one"], FRAME, check_dtype=False)
    pd.testing.assert_frame_equal(again["ml.one"], first["ml.one"])


def test_other_code_makes_its_own_and_removes_the_former(tmp_path: Path) -> None:
    kept_frames(tmp_path, "a", lambda: {"one": FRAME})
    other = kept_frames(tmp_path, "b", lambda: {"one": FRAME[:1]})

    assert len(other["one"]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_while_one_makes_the_frames_others_wait_and_then_take_them(tmp_path: Path) -> None:
    begun, ended = threading.Event(), threading.Event()

    def slowly() -> dict[str, pd.DataFrame]:
        begun.set()
        ended.wait(LONG_SECONDS)
        return {"one": FRAME}

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(kept_frames, tmp_path / "kept", "a", slowly)
        begun.wait(LONG_SECONDS)
        second = threads.submit(kept_frames, tmp_path / "kept", "a", never)
        ended.set()
        assert set(first.result()) == set(second.result()) == {"one"}


def test_what_was_not_finished_is_made_anew(tmp_path: Path) -> None:
    def fails() -> dict[str, pd.DataFrame]:
        raise ValueError("half-way")

    with pytest.raises(ValueError, match="half-way"):
        kept_frames(tmp_path, "a", fails)

    assert len(kept_frames(tmp_path, "a", lambda: {"one": FRAME})["one"]) == 2
