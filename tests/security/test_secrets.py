"""Planted secrets appear in no output, no file of the home, no event and no command line, whatever fails."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Quintet
from tests.security.dagster_ui import PROJECT, running_ui
from tests.waiting import LONG_SECONDS, wait_until

PLANTED = "PlantedSecret"
"""Part of every secret of these tests."""

_UNREACHABLE = {
    "QUINTET_POSTGRES_URL": f"postgresql://me:{PLANTED}1%2Fx@127.0.0.1:1/shop?password={PLANTED}2",
    "QUINTET_OBJECT_STORE_URL": f"http://key{PLANTED}:{PLANTED}3%2Fy@127.0.0.1:1/bucket",
    "QUINTET_SMTP_URL": f"smtp://me:{PLANTED}4%2Fz@127.0.0.1:1",
    "QUINTET_ALERT_EMAIL_TO": "team@example.org",
    "QUINTET_ALERT_WEBHOOK_URL": f"http://127.0.0.1:1/{PLANTED}5",
    "QUINTET_ALERT_WEBHOOK_SECRET": f"{PLANTED}-of-the-webhook",
    "QUINTET_TEAMS_WEBHOOK_URL": f"http://127.0.0.1:1/workflow?sig={PLANTED}6",
    "QUINTET_HEARTBEAT_URL": f"http://127.0.0.1:1/{PLANTED}7",
    "QUINTET_ADMIN_KEY": f"{PLANTED}-admin",
    "QUINTET_LENDING_SCORE_KEY": f"{PLANTED}-score",
}
_MALFORMED = [
    {"QUINTET_POSTGRES_URL": f"postgresql+psycopg2://me:{PLANTED}@host/db"},
    {"QUINTET_POSTGRES_URL": f"postgresql://me:{PLANTED}/x@host/db"},
    {"QUINTET_POSTGRES_URL": f"postgresql://me:{PLANTED}%@host/db"},
    {"QUINTET_POSTGRES_URL": f"me:{PLANTED}@host"},
    {"QUINTET_OBJECT_STORE_URL": f"http://key:{PLANTED}/x@host:9000/bucket"},
    {"QUINTET_OBJECT_STORE_URL": f"s3://key:{PLANTED}@bucket"},
    {"QUINTET_SMTP_URL": f"smtp://me:{PLANTED}/x@host"},
    {"QUINTET_ALERT_WEBHOOK_URL": f"file:///{PLANTED}"},
    {"QUINTET_LENDING_SCORE_URL": f"https://me:{PLANTED}@host/score"},
    {"QUINTET_ADMIN_KEY": PLANTED[:9]},
]


def _files_with(folder: Path, words: list[bytes]) -> list[str]:
    """Return the files below a folder that hold one of the words."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            found += [f"{path}: {word.decode()}" for word in words if word in content]
    return found


@contextmanager
def _watched_command_lines() -> Iterator[set[bytes]]:
    """Yield the set of command lines of all processes, collected until the block ends."""
    seen: set[bytes] = set()
    ends = threading.Event()

    def watch() -> None:
        while not ends.is_set():
            time.sleep(0.05)
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(process.read_bytes())
                except (FileNotFoundError, ProcessLookupError):
                    continue

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        ends.set()
        thread.join()


def _command(quintet: Quintet, environment: Mapping[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=PROJECT,
        env=quintet.environment | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=LONG_SECONDS,
    )
    return done.stdout


@pytest.fixture
def quintet(tmp_path: Path) -> Quintet:
    """Return an empty home without inboxes."""
    (tmp_path / "raw").mkdir()
    return Quintet(tmp_path / "raw", tmp_path / "home")


@pytest.mark.parametrize("environment", _MALFORMED, ids=lambda given: next(iter(given)).lower())
def test_a_malformed_setting_is_refused_without_its_value(quintet: Quintet, environment: dict[str, str]) -> None:
    printed = _command(quintet, environment, "keys", "list")
    assert next(iter(environment)) in printed
    assert PLANTED[:9] not in printed
    assert "Traceback" not in printed


def test_no_secret_leaves_the_process_when_everything_fails(quintet: Quintet) -> None:
    with _watched_command_lines() as command_lines:
        printed = _command(quintet, _UNREACHABLE, "run", "--select", "promotions")
        printed += _command(quintet, _UNREACHABLE, "run", "--select", "lending")
        printed += _command(quintet, _UNREACHABLE, "stream")
        printed += _command(quintet, _UNREACHABLE, "fill")
    assert "127.0.0.1" in printed  # the place is named, and what fails is reported
    assert PLANTED not in printed
    assert any(b"cli" in line for line in command_lines)
    assert [line for line in command_lines if PLANTED.encode() in line] == []
    assert _files_with(quintet.home, [PLANTED.encode()]) == []


def test_a_planted_secret_would_be_found(quintet: Quintet) -> None:
    quintet.home.mkdir(exist_ok=True)
    (quintet.home / "note").write_text(f"x {PLANTED} y", "utf-8")
    with _watched_command_lines() as command_lines:
        sleeper = subprocess.Popen([sys.executable, "-c", "input()", PLANTED], stdin=subprocess.PIPE)
        wait_until(lambda: any(PLANTED.encode() in line for line in set(command_lines)))
        sleeper.communicate(b"\n")
    assert len(_files_with(quintet.home, [PLANTED.encode()])) == 1


def test_graphql_shows_no_secret(quintet: Quintet) -> None:
    with running_ui(quintet, **_UNREACHABLE) as ui:
        answer = ui.ask(
            """{ repositoriesOrError { ... on RepositoryConnection { nodes {
                 allTopLevelResourceDetails { name resourceType configFields { name configTypeKey }
                   configuredValues { key value type } } } } }
                 instance { info } runConfigSchemaOrError(selector: {repositoryLocationName: "definitions:defs",
                 repositoryName: "__repository__", pipelineName: "everything"}) { ... on RunConfigSchema {
                 rootDefaultYaml allConfigTypes { key description ... on CompositeConfigType { fields { name
                 description defaultValueAsJson } } } } } }"""
        )
        assert "source" in str(answer)
        assert PLANTED not in str(answer)
    assert _files_with(quintet.home, [PLANTED.encode()]) == []
