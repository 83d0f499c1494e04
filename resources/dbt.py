"""dbt as a Dagster resource, and the manifest that Dagster reads its models from."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dagster_dbt import DbtCliInvocation, DbtCliResource

from quintet.plan import files_digest

_SOURCES = ("models/**/*", "macros/**/*", "tests/**/*", "*.yml")


class Dbt(DbtCliResource):
    """dbt, told by environment variables which warehouse to open and how."""

    warehouse: str
    memory_limit: str
    threads: int

    def cli(self, args: Sequence[str], **options: Any) -> DbtCliInvocation:
        """Run dbt in a process of its own."""
        os.environ["QUINTET_WAREHOUSE"] = self.warehouse
        os.environ["QUINTET_MEMORY_LIMIT"] = self.memory_limit
        os.environ["QUINTET_THREADS"] = str(self.threads)
        return super().cli(args, **options)


def prepare_manifest(dbt: Dbt) -> Path:
    """The project's manifest, parsed anew where a file of the project has changed since."""
    project = Path(dbt.project_dir)
    digest = files_digest(project, _SOURCES)
    manifest, stamp = project / "target" / "manifest.json", project / "target" / "manifest.sha256"
    if not (manifest.exists() and stamp.exists() and stamp.read_text() == digest):
        dbt.cli(["parse"], target_path=project / "target").wait()
        stamp.write_text(digest)
    return manifest
