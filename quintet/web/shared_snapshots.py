"""Fetch the snapshots that a build on another machine shares."""

from __future__ import annotations

import asyncio

import structlog

from quintet.change_log.log import open_store
from quintet.settings import Settings
from quintet.shared_serving import Follower

_LOOK_SECONDS = 2.0
_REQUEST_SECONDS = 60.0

_LOG = structlog.get_logger()


async def follow_snapshots(settings: Settings) -> None:
    """Fetch each new snapshot until this task is cancelled; return at once without a bucket in the settings."""
    if settings.serving_url is None:
        return
    store = open_store(settings.serving_url.get_secret_value(), _REQUEST_SECONDS)
    follower = Follower(store, settings.serving, settings.snapshots_kept, _log_error)
    while True:
        if await asyncio.to_thread(follower.look):
            _LOG.info("a new snapshot was fetched")
        await asyncio.sleep(_LOOK_SECONDS)


def _log_error(error: Exception) -> None:
    _LOG.error("a snapshot cannot be fetched; the former one stays", error=str(error)[:500])
