"""The part of promotions in the service: the index of known accounts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from quintet.domain import ServiceContext
from quintet.promotions.online_state import OnlineState


@dataclass(frozen=True)
class PromotionsService:
    """The index that scores sign-ups."""

    index: OnlineState

    async def start(self) -> None:
        """Start to build the index, and to watch for new snapshots."""
        self.index.start()

    async def close(self) -> None:
        """Stop watching, and write the judgements that wait."""
        await asyncio.to_thread(self.index.close)

    def faults(self) -> Sequence[str]:
        """Return why the last saved rules are not active."""
        return (self.index.fault,) if self.index.fault else ()


def build_service(context: ServiceContext) -> PromotionsService:
    """Build the index over the snapshots of the settings; nothing runs before `start`."""
    return PromotionsService(OnlineState(context.store, context.settings.serving, _log_failure))


def _log_failure(error: Exception) -> None:
    structlog.get_logger().error("the abuse index could not be built", exc_info=error)
