"""Telling people, as a Dagster resource: the outbox that the service delivers too."""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from quintet.domains import open_state_store
from quintet.payments.channels import Send

_MOST_ATTEMPTS = 20


class Notifier:
    """Writes into the outbox of `online`, and tries to deliver at once.

    What a channel does not take stays in the outbox, where the service goes on with it: a channel that is down fails no
    run, and what two processes try is sent once.
    """

    def __init__(self, online: Path, channels: Mapping[str, Send], page_url: str | None) -> None:
        self._online, self._channels, self._page_url = online, channels, page_url

    def tell_of_incidents(self, incidents: pd.DataFrame, now: dt.datetime) -> int:
        """Tell of the incidents of a snapshot that nobody was told of; gives how many. now: UTC, without zone."""
        from quintet.payments.notifications import notify_batch  # noqa: PLC0415
        from quintet.payments.outbox_worker import deliver  # noqa: PLC0415  # a run loads what its steps need

        at = now.replace(tzinfo=dt.UTC)
        store = open_state_store(self._online)
        try:
            sent = notify_batch(store, incidents, tuple(self._channels), self._page_url, at)
            for channel, send in self._channels.items():
                for _ in range(_MOST_ATTEMPTS):
                    if not deliver(store, channel, send, at):
                        break
            return sent
        finally:
            store.close()
