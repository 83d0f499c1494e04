"""Load a program without the garbage collector, which would scan all loaded modules again and again."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Turn off garbage collection in the body, and exclude what the body loads from all later collections.

    Importing Dagster takes a fifth less time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
