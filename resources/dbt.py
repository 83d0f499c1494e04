"""dbt as a Dagster resource, and the manifest that Dagster reads its models from."""

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

CALL_DBT = ["-I", "-S", str(Path(__file__).with_name("call_dbt.py"))]
"""Arguments that make Python call dbt; isolated, so that neither packages nor this folder's modules are looked at."""


class Dbt(DbtCliResource):
    """dbt, configured by environment variables: which warehouse to open and how, and the warm process to call."""

    warehouse: str
    memory_limit: str
    threads: int

    def cli(self, args: Sequence[str], **options: Any) -> DbtCliInvocation:
        """Run dbt in a process of its own: a fork of the run's warm dbt where there is one."""
        os.environ.update(self._variables)
        return super().cli(args, **options)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator["Dbt", None, None]:
        """Keep dbt warm for as long as the run lasts."""
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
        """The version as installed; the base class starts dbt, which takes seconds, to ask it."""
        return Version(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> None:  # type: ignore[override]
        """No connection of dbt's in this process: the base class makes one for metadata that nothing here asks for."""


def prepare_manifest(dbt: Dbt) -> Path:
    """Return the manifest; parse first where the project's files, dbt or the database's name have changed."""
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
