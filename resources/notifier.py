"""Notifications as a Dagster resource: writes to the same outbox as the service."""

import datetime as dt
from collections.abc import Mapping

import pandas as pd

from quintet.delivery.webhook import Send
from quintet.domains import open_state_store
from quintet.state_place import Place

_MOST_ATTEMPTS = 20


class Notifier:
    """Writes notifications to the outbox of the state store, and tries to deliver them at once.

    A notification that a channel does not accept stays in the outbox, and the service delivers it later. A channel
    that is down fails no run, and two processes never send the same notification twice.
    """

    def __init__(self, state: Place, channels: Mapping[str, Send], page_url: str | None) -> None:
        self._state, self._channels, self._page_url = state, channels, page_url

    def tell_of_incidents(self, incidents: pd.DataFrame, now: dt.datetime) -> int:
        """Notify the team of incidents of a snapshot that are new; return how many. now: UTC, without zone."""
        from quintet.delivery.outbox_worker import deliver  # noqa: PLC0415  # a run loads what its steps need
        from quintet.payments.notifications import notify_batch  # noqa: PLC0415

        at = now.replace(tzinfo=dt.UTC)
        store = open_state_store(self._state)
        try:
            sent = notify_batch(store, incidents, tuple(self._channels), self._page_url, at)
            for channel, send in self._channels.items():
                for _ in range(_MOST_ATTEMPTS):
                    if not deliver(store, channel, send, at):
                        break
            return sent
        finally:
            store.close()
