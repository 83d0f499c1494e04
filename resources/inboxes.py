"""The inboxes as a Dagster resource."""

from pathlib import Path

from dagster import ConfigurableResource

from quintet.ingest.inbox import InboxFile, list_inbox


class Inboxes(ConfigurableResource):
    """The folder with one inbox for each dataset.

    settle_seconds: the time for which a file must be unchanged before the sensor loads it.
    """

    raw: str
    settle_seconds: float

    def files(self, dataset: str) -> list[InboxFile]:
        """Return the files of a dataset's inbox, by name."""
        return list_inbox(Path(self.raw), dataset)
