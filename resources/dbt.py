"""dbt as a Dagster resource, and the manifest that Dagster reads its models from."""

import os
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dagster_dbt import DbtCliInvocation, DbtCliResource
from packaging.version import Version

from quintet.plan import files_digest

RUN_DBT = ["-P", str(Path(__file__).with_name("run_dbt.py"))]
"""Arguments that make Python run dbt; `-P`, so that this folder's modules do not stand in for packages."""

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

    @cached_property
    def _cli_version(self) -> Version:
        """The version as installed; the base class starts dbt, which takes seconds, to ask it."""
        return Version(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> None:  # type: ignore[override]
        """No connection of dbt's in this process: the base class makes one for metadata that nothing here asks for."""


def prepare_manifest(dbt: Dbt) -> Path:
    """The project's manifest, parsed anew where a file of the project has changed since, or dbt has."""
    project = Path(dbt.project_dir)
    digest = f"{files_digest(project, _SOURCES)} {version('dbt-core')}"
    target = project / "target"
    manifest, parsed, stamp = (target / name for name in ("manifest.json", "partial_parse.msgpack", "manifest.sha256"))
    if not (manifest.exists() and parsed.exists() and stamp.exists() and stamp.read_text() == digest):
        dbt.cli(["parse"], target_path=target).wait()
        stamp.write_text(digest)
    return manifest
