"""The service with a clock that a file sets forward or back by seconds, and with frequent heartbeats."""

from __future__ import annotations

import datetime as dt
import sys
from functools import partial
from pathlib import Path

from quintet.payments import live
from quintet.web import __main__ as web

SECONDS_BETWEEN_HEARTBEATS = 0.25


def main() -> int:
    """Serve until interrupted."""
    offset = Path(sys.argv[1])

    def clock() -> dt.datetime:
        return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=float(offset.read_text()))

    web.clock_of = lambda _: clock
    live.OutboxWorker = partial(live.OutboxWorker, heartbeat_seconds=SECONDS_BETWEEN_HEARTBEATS)
    return web.main()


if __name__ == "__main__":
    sys.exit(main())
