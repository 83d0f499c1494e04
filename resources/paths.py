"""The folders of the home as a Dagster resource."""

from pathlib import Path
from typing import Literal

from dagster import ConfigurableResource


class Paths(ConfigurableResource):
    """The folders below the home, as `quintet.settings` names them, and the page size of reports."""

    home: str
    report_page: Literal["a4", "16:9"] = "a4"

    @property
    def folder(self) -> Path:
        """The home."""
        return Path(self.home)

    @property
    def serving(self) -> Path:
        """The published snapshots."""
        return self.folder / "serving"

    @property
    def reports(self) -> Path:
        """Reports for people."""
        return self.folder / "reports"

    @property
    def models(self) -> Path:
        """Versions of trained models."""
        return self.folder / "models"

    @property
    def online(self) -> Path:
        """The state store of the service."""
        return self.folder / "online"
