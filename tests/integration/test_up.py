"""`quintet up`: the database is filled, everything is built once, the parts run, and Ctrl-C stops all of it."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import httpx
import pytest

from cli import up
from cli.run import first_key
from quintet.change_log.log import epochs
from quintet.change_log.place import find_log
from quintet.domains import DATASETS
from quintet.embedded import object_store
from quintet.embedded.postgres import running_url
from quintet.embedded.processes import free_port
from quintet.lending.inbox import INBOX
from quintet.settings import load_settings
from quintet.state.keys import create_key
from quintet.state.store import StateStore
from resources.event_log import open_instance
from resources.warm_dbt import SERVER
from tests.command import Command
from tests.conftest import Quintet
from tests.folders import open_folder
from tests.waiting import LONG_SECONDS, wait_until


@pytest.fixture
def home() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


def _is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=LONG_SECONDS).status_code == 200
    except httpx.TransportError:
        return False


def _inboxes_watched(instance: dg.DagsterInstance) -> set[str]:
    """Return the inboxes that a sensor has examined."""
    return {
        state.instigator_name.removeprefix("watch_")
        for state in instance.all_instigator_state()
        if getattr(state.instigator_data, "last_tick_timestamp", None)
    } & {*DATASETS, INBOX}


def test_it_builds_once_shows_what_runs_and_stops_all_on_ctrl_c(
    home: Path, project: Path, built_home: Path, warm_dbt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_out = shutil.ignore_patterns("postgres*", "objects*", "dagster")
    shutil.copytree(built_home, home / "home", symlinks=True, ignore=left_out)  # to leave little to build
    quintet = Quintet(project / "data" / "raw", home / "home")
    port = free_port()
    process = Command(
        ["up", "--dagster-port", str(free_port())],
        quintet.environment | {"QUINTET_STREAM_PORT": "0", "QUINTET_PORT": str(port), SERVER: warm_dbt},
    )
    seen = []
    try:
        for line in process.stdout:
            seen.append(line)
            if line.startswith("admin key"):
                break
        wait_until(lambda: _is_ready(port))
        monkeypatch.setenv("DAGSTER_HOME", quintet.environment["DAGSTER_HOME"])
        with open_instance() as instance:
            wait_until(lambda: _inboxes_watched(instance) == {*DATASETS, INBOX})
            assert len(instance.get_runs()) == 1  # the build: the sensors found nothing to do
        url = running_url(home / "home" / "postgres")
    finally:
        process.send_signal(signal.SIGINT)
        process.finish()

    assert "up | promo_users: 1,500 rows written to PostgreSQL\n" in seen
    assert url is not None
    assert process.returncode == 0
    assert running_url(home / "home" / "postgres") is None
    assert object_store.running_url(home / "home" / "objects") is None
    log = find_log(load_settings({"QUINTET_HOME": str(home / "home")}))
    assert log is not None
    assert len(epochs(log)) == 1
    text = "".join(seen)
    table = text[text.index("everything is running") :]
    assert all(what in table for what in ("the pages", "Dagster UI", "PostgreSQL", "S3 server", "/metrics", "/docs"))
    assert "make keys" in table  # the first key was shown when the home was built
    assert len(seen) < 150
    assert (home / "home" / "logs" / "dagster.log").exists()


def test_the_first_key_is_in_the_table_even_after_other_keys(tmp_path: Path) -> None:
    settings = load_settings({"QUINTET_HOME": str(tmp_path)})
    store = StateStore(settings.online)
    create_key(store, "CRM simulator", ["lending:decide"], dt.datetime.now(dt.UTC), os.urandom)
    store.close()
    key = first_key(settings)
    assert key is not None
    assert up.key_line(settings, key).endswith(key)
    assert first_key(settings) is None
    assert "make keys" in up.key_line(settings, None)


def test_every_part_has_a_name_of_its_own() -> None:
    names = [part.name for part in up.parts_of(Path(), 3000, has_stream=True)]

    assert len(set(names)) == len(names) > 1


def test_a_crm_is_simulated_on_demand_alone() -> None:
    usual, simulated = (
        up.parts_of(Path(), 3000, has_stream=False),
        up.parts_of(Path(), 3000, has_stream=False, simulated_rate=20),
    )

    assert "crm" not in {part.name for part in usual}
    assert simulated[-1].name == "crm"
    assert list(simulated[-1].command[-4:]) == ["--rate", "20", "--seconds", "0"]


def test_an_external_database_is_neither_started_nor_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[object] = []
    monkeypatch.setattr(up, "fill", lambda *given: written.append(given))
    settings = load_settings({"QUINTET_HOME": str(tmp_path), "QUINTET_POSTGRES_URL": "postgresql://own"})

    with up.source_database(settings) as url, up.change_log(settings) as log:
        assert (url, log) == ("postgresql://own", {})
    assert "stream" not in [part.name for part in up.parts_of(Path(), 3000, has_stream=bool(log))]
    assert (written, list(tmp_path.iterdir())) == ([], [])
