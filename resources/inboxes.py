"""The inboxes as a Dagster resource."""

from dataclasses import asdict
from pathlib import Path

from dagster import ConfigurableResource

from quintet.ingest.inbox import InboxFile, list_inbox
from quintet.limits import DEFAULT_LIMITS, Limits

INBOX_TAG = "quintet/inbox"
"""The tag of a sensor with the inbox that it watches: a change of the folder starts it before its interval ends."""


class Inboxes(ConfigurableResource):
    """The folder with one inbox for each dataset.

    settle_seconds: the time for which a file must be unchanged before the sensor loads it.
    limits: the fields of `Limits`; a file beyond one is rejected.
    """

    raw: str
    settle_seconds: float
    limits: dict[str, int] = asdict(DEFAULT_LIMITS)

    def files(self, dataset: str) -> list[InboxFile]:
        """Return the files of a dataset's inbox, by name."""
        return list_inbox(Path(self.raw), dataset, Limits(**self.limits))
