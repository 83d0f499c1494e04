"""The warm dbt of a run: it starts while Dagster is being imported, and ends with the run.

This module never imports Dagster, so that the command line can start the process first. `run_dbt.py` is its program.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from quintet.code_version import files_digest
from resources.warm_process import WarmProcess

SERVER = "QUINTET_DBT_SERVER"
"""The environment variable with the address of the warm dbt."""

CALL_DBT = ["-I", "-S", str(Path(__file__).with_name("call_dbt.py"))]
"""Arguments with which Python runs `call_dbt.py`, isolated from packages and from this folder's modules."""

PARSED = "partial_parse.msgpack"
STAMP = "manifest.sha256"
_SOURCES = ("models/**/*", "macros/**/*", "seeds/**/*", "tests/**/*", "*.yml")


def prepared_folder(project: Path) -> Path:
    """Return the folder of the parsed project; dbt commands run by hand write beside it and not here.

    It is below dbt's own setting DBT_TARGET_PATH, which names another place where the project cannot be written.
    """
    return project / os.environ.get("DBT_TARGET_PATH", "target") / "prepared"


def parse_digest(project: Path, warehouse: Path) -> str:
    """Return a text that changes with the project's files, the version of dbt, and the name of the database."""
    return f"{files_digest(project, _SOURCES)} {version('dbt-core')} {warehouse.stem}"


def is_prepared(project: Path, digest: str) -> bool:
    """Return whether the parsed project is there and has this digest."""
    folder = prepared_folder(project)
    files = (folder / "manifest.json", folder / PARSED, folder / STAMP)
    return all(file.exists() for file in files) and files[-1].read_text() == digest


def warehouse_variables(project: Path, warehouse: Path, memory_limit: str, threads: int) -> dict[str, str]:
    """Return the environment variables for the project's `profiles.yml` and for `run_dbt.py`."""
    return {
        "QUINTET_DBT_PARSED": str(prepared_folder(project) / PARSED),
        "QUINTET_WAREHOUSE": str(warehouse),
        "QUINTET_MEMORY_LIMIT": memory_limit,
        "QUINTET_THREADS": str(threads),
    }


class WarmDbt(WarmProcess):
    """A process with dbt imported and the project parsed, which runs this process's dbt commands until `close`.

    `close` ends any command that is still running. Only Linux can fork the process safely; on other systems it is not
    started, and each dbt command starts as a new process. Its id is also that of its group.

    project: the folder of the dbt project. variables: as `warehouse_variables` returns them.
    """

    def __init__(self, project: Path, variables: Mapping[str, str]) -> None:
        super().__init__(SERVER)
        if sys.platform != "linux" or SERVER in os.environ:
            return
        prepared = prepared_folder(project)
        prepared.mkdir(parents=True, exist_ok=True)
        digest = parse_digest(project, Path(variables["QUINTET_WAREHOUSE"]))
        self._start(
            "quintet-dbt-",
            lambda socket: [
                *(sys.executable, "-P", str(Path(__file__).with_name("run_dbt.py")), "--serve"),
                *(str(socket), str(prepared / PARSED)),
                "" if is_prepared(project, digest) else digest,
            ],
            env={**os.environ, **variables, **_dbt_variables(project, prepared)},
            cwd=project,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # commands print to their callers; a broken dbt fails there too
            process_group=0,
        )


def _dbt_variables(project: Path, target: Path) -> dict[str, str]:
    return {
        "DBT_PROJECT_DIR": str(project),
        "DBT_PROFILES_DIR": str(project),
        "DBT_TARGET_PATH": str(target),
        "DBT_LOG_PATH": str(target),
        "DBT_LOG_LEVEL_FILE": "info",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
