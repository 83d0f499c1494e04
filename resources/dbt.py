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

_PARSED = "partial_parse.msgpack"
_SOURCES = ("models/**/*", "macros/**/*", "tests/**/*", "*.yml")


class Dbt(DbtCliResource):
    """dbt, told by environment variables which warehouse to open and how."""

    warehouse: str
    memory_limit: str
    threads: int

    def cli(self, args: Sequence[str], **options: Any) -> DbtCliInvocation:
        """Run dbt in a process of its own."""
        os.environ["QUINTET_DBT_PARSED"] = str(self.prepared / _PARSED)
        os.environ["QUINTET_WAREHOUSE"] = self.warehouse
        os.environ["QUINTET_MEMORY_LIMIT"] = self.memory_limit
        os.environ["QUINTET_THREADS"] = str(self.threads)
        return super().cli(args, **options)

    @property
    def prepared(self) -> Path:
        """The folder of what was parsed, nobody else's: a call of dbt by hand writes to `target` itself."""
        return Path(self.project_dir) / "target" / "prepared"

    @cached_property
    def _cli_version(self) -> Version:
        """The version as installed; the base class starts dbt, which takes seconds, to ask it."""
        return Version(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> None:  # type: ignore[override]
        """No connection of dbt's in this process: the base class makes one for metadata that nothing here asks for."""


def prepare_manifest(dbt: Dbt) -> Path:
    """The project's manifest, parsed anew where a file of the project has changed since, dbt or the database's name."""
    project = Path(dbt.project_dir)
    digest = f"{files_digest(project, _SOURCES)} {version('dbt-core')} {Path(dbt.warehouse).stem}"
    target = dbt.prepared
    manifest, parsed, stamp = (target / name for name in ("manifest.json", _PARSED, "manifest.sha256"))
    if not (manifest.exists() and parsed.exists() and stamp.exists() and stamp.read_text() == digest):
        dbt.cli(["parse"], target_path=target).wait()
        stamp.write_text(digest)
    return manifest
