"""What depends on the code alone, computed once for each version of it.

Belongs here: keeping frames in files beside the fingerprint of the code that made them. What is kept, and why it
depends on nothing else, stands where it is made.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd


def kept_frames(folder: Path, code: str, make: Callable[[], Mapping[str, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """Return the frames that `make` gives, from the files in `folder` where the same code has written them.

    Those of other code are removed. While one process makes them, others wait for it; where it is killed half-way, one
    of them makes them from scratch.
    """
    kept = folder / code
    if not kept.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_name(f".{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.is_dir():
                _write(folder, code, make())
    return {path.stem: pd.read_parquet(path) for path in sorted(kept.glob("*.parquet"))}


def _write(folder: Path, code: str, frames: Mapping[str, pd.DataFrame]) -> None:
    unfinished = folder / f"{code}.tmp"
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for name, frame in frames.items():
        frame.to_parquet(unfinished / f"{name}.parquet", index=False)
    unfinished.rename(folder / code)
