"""What depends on the code alone, computed once for each version of it.

Belongs here: keeping frames in files beside the fingerprint of the code that made them. What is kept, and why it
depends on nothing else, stands where it is made.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd


def kept_frames(folder: Path, code: str, make: Callable[[], Mapping[str, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """The frames that `make` gives, from the files in `folder` where the same code has written them.

    Those of other code are removed. Killed half-way, the next call makes them anew.
    """
    kept = folder / code
    if not kept.is_dir():
        unfinished = folder / f"{code}.tmp"
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.mkdir(parents=True)
        for name, frame in make().items():
            frame.to_parquet(unfinished / f"{name}.parquet", index=False)
        unfinished.rename(kept)
    return {path.stem: pd.read_parquet(path) for path in sorted(kept.glob("*.parquet"))}
