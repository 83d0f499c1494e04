"""`make serve`: the API and the pages in one process."""

from __future__ import annotations

import datetime as dt
import gc
import logging
import os
import sys
from pathlib import Path

import structlog
import uvicorn

from quintet.plan import files_digest
from quintet.settings import SettingsError, load_settings
from quintet.state.keys import create_first_key
from quintet.state.store import StateStore
from quintet.web.app import create_app

_PROJECT = Path(__file__).parents[2]
_SECONDS_TO_FINISH = 10
_SWITCH_SECONDS = 0.0001  # with Python's default of 5 ms, requests wait for threads that build an index or write a log


def main() -> int:
    """Serve until interrupted."""
    try:
        settings = load_settings()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    log_as_json()
    sys.setswitchinterval(_SWITCH_SECONDS)
    print(f"Quintet on http://127.0.0.1:{settings.port} (pages), /docs (API); stop with Ctrl-C")
    first = (
        None
        if settings.admin_key
        else create_first_key(StateStore(settings.online), dt.datetime.now(dt.UTC), os.urandom)
    )
    if first:
        print(f"first admin key, shown this once: {first[1]}", flush=True)
    app = create_app(settings, files_digest(_PROJECT, ("quintet/**/*",)))
    # Loaded objects stay for good: collecting garbage among them would stop all requests for 0.17 s.
    gc.collect()
    gc.freeze()
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=settings.port,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=_SECONDS_TO_FINISH,
    )
    return 0


def log_as_json() -> None:
    """Log one JSON object per line to standard error."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # without local variables: keys are among them
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


if __name__ == "__main__":
    sys.exit(main())
