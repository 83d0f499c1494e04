"""`make up`: the database is started and filled, the parts run, and Ctrl-C stops all of it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import up
from quintet.changelog.log import epochs
from quintet.changelog.place import find_log
from quintet.embedded import object_store
from quintet.embedded.postgres import running_url
from quintet.settings import load_settings
from tests.conftest import Quintet


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(
        tempfile.mkdtemp(prefix="quintet-test-")
    )  # pytest's own folders are closed to accounts without rights
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def test_it_fills_the_database_starts_the_parts_and_stops_all_on_ctrl_c(home: Path, project: Path) -> None:
    quintet = Quintet(project / "data" / "raw", home)
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.up"],
        cwd=project,
        env=quintet.environment | {"QUINTET_STREAM_PORT": "0"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if any("the snapshot is complete" in one for one in seen) and any(one.startswith("serve ") for one in seen):
            break
    url = running_url(home / "postgres")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)

    assert "up | promo_users: 1,500 rows put into PostgreSQL\n" in seen
    assert url is not None
    assert process.returncode == 0
    assert running_url(home / "postgres") is None
    assert "up | user: 1,000 rows of the sample's loan book put into PostgreSQL\n" in seen
    assert object_store.running_url(home / "objects") is None
    log = find_log(load_settings({"QUINTET_HOME": str(home)}))
    assert log is not None
    assert len(epochs(log)) == 1


def test_every_part_has_a_name_of_its_own() -> None:
    names = [part.name for part in up.parts_of(has_stream=True)]

    assert len(set(names)) == len(names) > 1


def test_a_crm_is_simulated_on_demand_alone() -> None:
    usual, simulated = up.parts_of(has_stream=False), up.parts_of(has_stream=False, simulated_rate=20)

    assert "crm" not in {part.name for part in usual}
    assert simulated[-1].name == "crm"
    assert list(simulated[-1].command[-4:]) == ["--rate", "20", "--seconds", "0"]


def test_a_database_of_ones_own_is_neither_started_nor_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[object] = []
    monkeypatch.setattr(up, "fill", lambda *given: written.append(given))
    settings = load_settings({"QUINTET_HOME": str(tmp_path), "QUINTET_POSTGRES_URL": "postgresql://own"})

    with up.source_database(settings) as url, up.change_log(settings) as log:
        assert (url, log) == ("postgresql://own", {})
    assert "stream" not in [part.name for part in up.parts_of(has_stream=bool(log))]
    assert (written, list(tmp_path.iterdir())) == ([], [])
