"""Run a change stream in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from quintet.replication.run import Stream
from tests.waiting import wait_until


@contextmanager
def running(stream: Stream, **arguments: Any) -> Iterator[Stream]:
    """Run the stream, yield once it receives, stop it, and raise the error that ended it, if any."""
    errors: list[Exception] = []

    def run() -> None:
        try:
            stream.run(**arguments)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: stream.ready.is_set() or not thread.is_alive())
    try:
        yield stream
    finally:
        stream.stop.set()
        thread.join()
    if errors:
        raise errors[0]
