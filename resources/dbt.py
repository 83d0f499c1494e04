"""dbt as a Dagster resource, and the manifest with the models for Dagster."""

import fcntl
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg
from packaging.version import Version

from resources.dagster_dbt import DbtCliInvocation, DbtCliResource
from resources.run_dbt import PARSE
from resources.warm_dbt import STAMP, WarmDbt, is_prepared, parse_digest, prepared_folder, warehouse_variables


class Dbt(DbtCliResource):
    """dbt, configured by environment variables for the warehouse and the warm process."""

    warehouse: str
    memory_limit: str
    threads: int

    def cli(self, args: Sequence[str], **options: Any) -> DbtCliInvocation:
        """Run dbt in a separate process: a fork of the run's warm dbt if there is one."""
        os.environ.update(self._variables)
        return super().cli(args, **options)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator["Dbt", None, None]:
        """Keep a warm dbt for as long as the run lasts."""
        warm = WarmDbt(Path(self.project_dir), self._variables)
        try:
            with super().yield_for_execution(context) as resource:
                yield resource
        finally:
            warm.close()

    @property
    def _variables(self) -> dict[str, str]:
        return warehouse_variables(Path(self.project_dir), Path(self.warehouse), self.memory_limit, self.threads)

    @cached_property
    def _cli_version(self) -> Version:
        """The installed version; the base class would start dbt for it, which takes seconds."""
        return Version(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> None:  # type: ignore[override]
        """Do nothing: the base class opens a dbt connection in this process for metadata that is not used here."""


def prepare_manifest(dbt: Dbt) -> Path:
    """Return the manifest; parse first if the project's files, dbt or the database's name have changed."""
    project = Path(dbt.project_dir)
    target, digest = prepared_folder(project), parse_digest(project, Path(dbt.warehouse))
    if not is_prepared(project, digest):
        target.mkdir(parents=True, exist_ok=True)
        with (target / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the warm dbt may be parsing
            if not is_prepared(project, digest):
                dbt.cli(list(PARSE), target_path=target).wait()
                (target / STAMP).write_text(digest)
    return target / "manifest.json"
