"""`make serve`: the API and the pages in one process."""

from __future__ import annotations

import datetime as dt
import fcntl
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
import uvicorn
from fastapi import FastAPI

from quintet.code_version import files_digest
from quintet.logs import log_as_json
from quintet.private_files import write_for_owner_only
from quintet.settings import Settings, SettingsError, load_settings
from quintet.state.awaited import once_it_answers
from quintet.state.clock import clock_of
from quintet.state.faults import StateError, StateUnavailableError
from quintet.state.keys import create_first_key
from quintet.state.store import StateStore
from quintet.web.addresses import TrustedProxies
from quintet.web.app import create_app
from quintet.web.connections import Limits, allow_files, limited

_PROJECT = Path(__file__).parents[2]
_SECONDS_TO_FINISH = 10
_SWITCH_SECONDS = 0.0001  # with Python's default of 5 ms, requests wait for threads that build an index or write a log


def main() -> int:
    """Serve until interrupted."""
    write_for_owner_only()
    try:
        settings = load_settings()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        with only_service(settings.online):
            return _serve(settings)
    except (StateError, StateUnavailableError) as error:
        print(error, file=sys.stderr)
        return 1


@contextmanager
def only_service(online: Path) -> Iterator[None]:
    """Hold the home's service lock. Raises StateError if another service of this home runs.

    Two would each notice a problem, and notify the team twice.
    """
    try:
        online.mkdir(parents=True, exist_ok=True)
        file = (online / "service.lock").open("w")
    except OSError as error:
        raise StateError(
            f"{error.filename}: {error.strerror}. Grant write access, or set QUINTET_HOME to another folder"
        ) from error
    with file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError(
                f"a service of {online.parent} is already running; stop it first, or set QUINTET_HOME to another folder"
            ) from None
        yield


def _serve(settings: Settings) -> int:
    log_as_json(structlog.contextvars.merge_contextvars)
    sys.setswitchinterval(_SWITCH_SECONDS)
    print(f"Quintet on {settings.local_url(settings.port)} (pages), /docs (API); stop with Ctrl-C")
    app = once_it_answers(lambda: _open(settings))
    # Loaded objects stay for good: collecting garbage among them would stop all requests for 0.17 s.
    gc.collect()
    gc.freeze()
    uvicorn.run(
        TrustedProxies(app, settings.trusted_proxies),
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,  # by default it believes every program of this machine
        http=limited(allow_files(Limits())),
        ws="none",
        timeout_graceful_shutdown=_SECONDS_TO_FINISH,
    )
    return 0


def _open(settings: Settings) -> FastAPI:
    """Return the application; print the first admin key if there was none."""
    if settings.admin_key is None:
        first = create_first_key(StateStore(settings.state), dt.datetime.now(dt.UTC), os.urandom)
        if first:
            print(f"first admin key, shown this once: {first[1]}", flush=True)
    return create_app(settings, files_digest(_PROJECT, ("quintet/**/*",)), clock_of(settings.state))


if __name__ == "__main__":
    sys.exit(main())
