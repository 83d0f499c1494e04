"""The application's database as a Dagster resource."""

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
from dagster import ConfigurableResource

from quintet.ingest.contract import Dataset
from quintet.postgres_extract.extract import Extraction, extract
from quintet.postgres_extract.postgres import activity


class PostgresExtract(ConfigurableResource):
    """The PostgreSQL at `url`; an empty url means no database and nothing to extract.

    landing: folder for intermediate files between the database and the warehouse.
    """

    url: str
    landing: str

    @property
    def is_configured(self) -> bool:
        """Whether there is a database."""
        return bool(self.url)

    def activity(self, datasets: Sequence[Dataset]) -> str:
        """Return a text that changes when rows of these tables are written."""
        return activity(self.url, datasets)

    def extract(
        self,
        connection: duckdb.DuckDBPyConnection,
        datasets: Sequence[Dataset],
        now: dt.datetime,
        report: Callable[[str], None],
        accept_changed_columns: bool,
    ) -> list[Extraction]:
        """Load what changed since the last time into the raw tables."""
        return extract(connection, self.url, datasets, Path(self.landing), now, report, accept_changed_columns)
