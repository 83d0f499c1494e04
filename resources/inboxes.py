"""The inboxes as a Dagster resource."""

from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from dagster import ConfigurableResource

from quintet.cases.file_mappings import with_mappings
from quintet.domains import open_state_store
from quintet.ingest.contract import Dataset
from quintet.ingest.inbox import InboxFile, list_inbox
from quintet.limits import DEFAULT_LIMITS, Limits
from quintet.settings import load_settings
from quintet.state_place import StatePlace

INBOX_TAG = "quintet/inbox"
"""The tag of a sensor with the inbox that it watches: a change of the folder starts it before its interval ends."""


class Inboxes(ConfigurableResource):
    """The folder with one inbox for each dataset.

    settle_seconds: the time for which a file must be unchanged before the sensor loads it.
    limits: the fields of `Limits`; a file beyond one is rejected.
    online: the folder of the state store with what people have mapped in files; empty if there is none. The URL of its
    database is secret, so it is not in Dagster's configuration: it is read from the environment.
    """

    raw: str
    settle_seconds: float
    limits: dict[str, int] = asdict(DEFAULT_LIMITS)
    online: str = ""

    def files(self, dataset: str) -> list[InboxFile]:
        """Return the files of a dataset's inbox, by name."""
        return list_inbox(Path(self.raw), dataset, Limits(**self.limits))

    def mapped(self, dataset: Dataset) -> Dataset:
        """Return the dataset with what people have mapped in its files until now."""
        if not self.online:
            return dataset
        with closing(open_state_store(StatePlace(Path(self.online), load_settings().state.url))) as store:
            (mapped,) = with_mappings([dataset], store)
        return mapped
