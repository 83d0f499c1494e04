"""The part of payments in the service: the live monitor."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from quintet.domain import ServiceContext
from quintet.opening_hours import opening_hours
from quintet.payments.channels import channels_of, payments_page_url
from quintet.payments.live import MonitorService


@dataclass(frozen=True)
class PaymentsService:
    """The monitor that scores transactions as they arrive."""

    live: MonitorService

    async def start(self) -> None:
        """Start the monitor and the delivery of its messages."""
        self.live.start()

    async def close(self) -> None:
        """Stop both."""
        await asyncio.to_thread(self.live.stop)


def build_service(context: ServiceContext) -> PaymentsService:
    """Build the monitor with the channels of the settings; nothing runs before `start`."""
    settings = context.settings
    heartbeat = settings.heartbeat_url.get_secret_value() if settings.heartbeat_url else None
    hours = opening_hours(
        settings.payments_time_zone, settings.payments_opening_hours or "", settings.payments_holidays
    )
    channels, page = channels_of(settings), payments_page_url(settings)
    live = MonitorService(context.store, channels, context.clock, page, heartbeat, hours)
    return PaymentsService(live)
