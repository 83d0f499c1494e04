"""The folders of one process: the inboxes, and the home with what Quintet writes to it."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from quintet.setting_fields import Folder, setting


class Places(BaseModel):
    """The folders that the settings name, and what is in the home. Paths are absolute."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    raw: Folder = setting(
        Path("data/raw"), "Folder of the inboxes, one folder in it for each dataset.", "a folder, or a path to be one"
    )
    home: Folder = setting(
        Path("data"),
        "Folder for everything that Quintet writes: `warehouse.duckdb`, `serving/`, `reports/`, `models/`, `online/`.",
        "a folder, or a path to be one",
    )

    @property
    def warehouse(self) -> Path:
        """The DuckDB file that only the orchestration opens."""
        return self.home / "warehouse.duckdb"

    @property
    def serving(self) -> Path:
        """Folder of the published snapshots."""
        return self.home / "serving"

    @property
    def current_snapshot(self) -> Path:
        """The link to the snapshot that readers open."""
        return self.serving / "current.duckdb"

    @property
    def reports(self) -> Path:
        """Folder of reports and exports."""
        return self.home / "reports"

    @property
    def models(self) -> Path:
        """Folder of fitted models."""
        return self.home / "models"

    @property
    def fetched(self) -> Path:
        """Folder of the files that were fetched from the bucket of `serving_url`."""
        return self.home / "fetched"

    @property
    def online(self) -> Path:
        """Folder of the state store of the service and the stream."""
        return self.home / "online"

    @property
    def embedded_postgres(self) -> Path:
        """Folder of the embedded PostgreSQL."""
        return self.home / "postgres"

    @property
    def embedded_objects(self) -> Path:
        """Folder of the embedded object store."""
        return self.home / "objects"
