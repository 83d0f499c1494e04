"""Fetch the snapshots and files that a build on another machine shares."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from quintet.change_log.log import open_store
from quintet.settings import Settings
from quintet.shared_files import FileFollower
from quintet.shared_serving import Follower, Following

_LOOK_SECONDS = 2.0
_FIRST_SECONDS = 20.0
_REQUEST_SECONDS = 60.0

_LOG = structlog.get_logger()


class Shared:
    """Follows what a build shares, if the settings have a bucket: first the files, which decisions need."""

    def __init__(self, settings: Settings) -> None:
        self._followers: Sequence[Following] = ()
        self._first: asyncio.Future[None] | None = None
        if settings.serving_url is not None:
            store = open_store(settings.serving_url.get_secret_value(), _REQUEST_SECONDS)
            self._followers = (
                FileFollower(store, settings.fetched, _log_error),
                Follower(store, settings.serving, settings.snapshots_kept, _log_error),
            )

    async def fetch_first(self) -> None:
        """Fetch what there is before the first request, for some seconds at most; `follow` goes on."""
        self._first = asyncio.ensure_future(asyncio.to_thread(self._look))
        await asyncio.wait([self._first], timeout=_FIRST_SECONDS)

    async def follow(self) -> None:
        """Fetch what is new until this task is cancelled."""
        if self._first is not None:
            await self._first
        while self._followers:
            await asyncio.sleep(_LOOK_SECONDS)
            await asyncio.to_thread(self._look)

    def _look(self) -> None:
        for follower in self._followers:
            if follower.look():
                _LOG.info("a new publication was fetched", what=follower.what)


def _log_error(error: Exception) -> None:
    _LOG.error("what the build shares cannot be fetched; the former stays", error=str(error)[:500])
