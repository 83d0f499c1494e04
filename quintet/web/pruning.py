"""Remove old rows of the state store while the service runs."""

from __future__ import annotations

import asyncio

import structlog

from quintet.domains import RETENTION
from quintet.state.faults import STATE_FAULTS
from quintet.state.retention import prune
from quintet.web.service import Service

_HOURS = 6

_LOG = structlog.get_logger()


async def prune_regularly(service: Service) -> None:
    """Remove old rows at the start and every few hours, until this task is cancelled."""
    while True:
        try:
            removed = await asyncio.to_thread(
                prune, service.store, RETENTION, service.clock(), service.settings.state_days
            )
            _LOG.info("old rows removed", **{table: count for table, count in removed.items() if count})
        except STATE_FAULTS as error:  # a full disk, or a writer that takes long: the next time will do
            _LOG.error("old rows could not be removed", error=str(error))
        await asyncio.sleep(_HOURS * 3_600)
