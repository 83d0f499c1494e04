"""dbt as a Dagster resource, and the manifest that Dagster reads its models from."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dagster_dbt import DbtCliInvocation, DbtCliResource

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
    digest = hashlib.sha256()
    for path in sorted({path for pattern in _SOURCES for path in project.glob(pattern) if path.is_file()}):
        digest.update(path.relative_to(project).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    manifest, stamp = project / "target" / "manifest.json", project / "target" / "manifest.sha256"
    if not (manifest.exists() and stamp.exists() and stamp.read_text() == digest.hexdigest()):
        dbt.cli(["parse"], target_path=project / "target").wait()
        stamp.write_text(digest.hexdigest())
    return manifest
