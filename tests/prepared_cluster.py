"""Copy one PostgreSQL cluster for every server of the suite; `initdb` takes 1.2 s of processor time for each.

The password of a copy is that of the prepared cluster. `tests/unit/embedded` uses `initdb` itself.
"""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path

from quintet.embedded.postgres import EmbeddedPostgres
from tests.folders import alone

FOLDER = "PREPARED_POSTGRES_CLUSTER"
"""Environment variable: the folder of the prepared cluster; the first server of the suite fills it."""

initdb = EmbeddedPostgres._initialise
"""The product's own way to create a cluster."""


def use(folder: Path) -> None:
    """Let the servers of this process, and of the commands that it starts, copy the cluster in `folder`."""
    os.environ[FOLDER] = str(folder)
    EmbeddedPostgres._initialise = copy_or_initialise  # type: ignore[method-assign]


def use_as_told() -> None:
    """Use the prepared cluster that the environment names, if it names one."""
    if folder := os.environ.get(FOLDER):
        use(Path(folder))


def stop_using() -> None:
    """Use `initdb` from now on."""
    os.environ.pop(FOLDER, None)
    EmbeddedPostgres._initialise = initdb  # type: ignore[method-assign]


def copy_or_initialise(server: EmbeddedPostgres, cluster: Path) -> None:
    """Create the cluster of a server by a copy; the first one is created by `initdb` and kept."""
    prepared = Path(os.environ[FOLDER])
    with alone(prepared) as is_prepared:
        if not is_prepared:
            initdb(server, cluster)
            shutil.rmtree(prepared, ignore_errors=True)
            shutil.copytree(cluster, prepared / "data")
            shutil.copy(server.folder / "password", prepared / "password")
            return
    fresh, password = cluster.with_suffix(".new"), server.folder / "password"
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copy(prepared / "password", password)
    shutil.copytree(prepared / "data", fresh)
    if os.geteuid() == 0:
        _give_away(server.folder, password, fresh, *fresh.rglob("*"))
    fresh.rename(cluster)


def _give_away(*paths: Path) -> None:
    who = pwd.getpwnam("nobody")
    for path in paths:
        os.chown(path, who.pw_uid, who.pw_gid)
