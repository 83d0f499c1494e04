"""Loading a program without the garbage collector, which would look through all that is loaded again and again."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Collect no garbage in the body, and never look at what it leaves: modules and definitions, which stay.

    It takes a fifth off the time that importing Dagster takes.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
