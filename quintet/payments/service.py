"""The part of payments in the service: the live monitor."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from quintet.domain import ServiceContext
from quintet.payments.channels import channels_of, payments_page_url
from quintet.payments.dimensions import parse_dimensions
from quintet.payments.escalation_steps import parse_escalation
from quintet.payments.live import MonitorService
from quintet.payments.losses import losses_of
from quintet.payments.opening_hours import opening_hours
from quintet.payments.settings import CHANNELS, PaymentsSettings


@dataclass(frozen=True)
class PaymentsService:
    """The monitor that scores transactions as they arrive."""

    live: MonitorService
    missing_channels: Sequence[str] = ()

    async def start(self) -> None:
        """Start the monitor and the delivery of its messages."""
        self.live.start()

    async def close(self) -> None:
        """Stop both."""
        await asyncio.to_thread(self.live.stop)

    def faults(self) -> Sequence[str]:
        """Return why the last saved rules are not active, and the channels of an escalation that are not configured."""
        fault = self.live.monitor.rules.fault
        return (*((fault,) if fault else ()), *self.missing_channels)


def build_service(context: ServiceContext) -> PaymentsService:
    """Build the monitor with the channels of the settings; nothing runs before `start`."""
    settings = context.settings
    own = settings.of(PaymentsSettings)
    heartbeat = own.heartbeat_url.get_secret_value() if own.heartbeat_url else None
    hours = opening_hours(own.payments_time_zone, own.payments_opening_hours or "", own.payments_holidays)
    channels, page = channels_of(settings), payments_page_url(settings)
    dimensions = parse_dimensions(own.payments_dimensions)
    escalation = parse_escalation(own.alert_escalation, CHANNELS, own.payments_time_zone)
    live = MonitorService(
        context.store,
        channels,
        context.clock,
        page,
        heartbeat,
        hours,
        secrets.token_hex(4),
        dimensions,
        escalation,
        losses_of(settings),
    )
    missing = [
        f"QUINTET_ALERT_ESCALATION names {channel}, which is not configured, so nobody is notified there: set the "
        "address of the channel, or remove the step"
        for channel in escalation.unknown(channels)
    ]
    return PaymentsService(live, tuple(missing))
