"""The application's database as a Dagster resource."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
from pydantic import SecretStr

from quintet.ingest.contract import Dataset
from quintet.postgres_extract.extract import Extraction, extract
from quintet.postgres_extract.postgres import activity


@dataclass(frozen=True)
class PostgresExtract:
    """The PostgreSQL at `url`; None means no database and nothing to extract.

    landing: folder for intermediate files between the database and the warehouse.
    """

    url: SecretStr | None
    landing: Path

    @property
    def is_configured(self) -> bool:
        """Whether there is a database."""
        return self.url is not None

    def activity(self, datasets: Sequence[Dataset]) -> str:
        """Return a text that changes when rows of these tables are written."""
        return activity(self._url, datasets)

    def extract(
        self,
        connection: duckdb.DuckDBPyConnection,
        datasets: Sequence[Dataset],
        now: dt.datetime,
        report: Callable[[str], None],
        accept_changed_columns: bool,
    ) -> list[Extraction]:
        """Load what changed since the last time into the raw tables."""
        return extract(connection, self._url, datasets, self.landing, now, report, accept_changed_columns)

    @property
    def _url(self) -> str:
        assert self.url is not None, "check is_configured first"
        return self.url.get_secret_value()
