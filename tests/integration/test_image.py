"""The container image, built without an engine: its processes run in its root file system, as its account.

The build takes minutes, root, buildah and debootstrap; it runs where `--image` asks for it.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.image import buildah_in, image
from quintet.embedded.processes import free_port
from tests.machine import require_program, require_root

_TAG = "localhost/quintet:test"
_KEY = "a key of the test that is long enough"
_START_SECONDS, _STOP_SECONDS, _RUN_SECONDS = 180, 30, 300
_MOUNTS = ("/proc", "/dev")


@dataclass(frozen=True)
class Container:
    """The root file system of the image, and the configuration that an engine would apply."""

    root: Path
    configuration: dict[str, Any]

    def command(self, arguments: Sequence[str], **settings: str) -> list[str]:
        """Return the command that runs the image's entry point with arguments, as its account in its folder."""
        variables = [*self.configuration["Env"], *(f"{name}={value}" for name, value in settings.items())]
        folder = self.configuration["WorkingDir"]
        return [
            *self.as_account(),
            *("env", "--ignore-environment", f"--chdir={folder}", *variables),
            *self.configuration["Entrypoint"],
            *arguments,
        ]

    def as_account(self) -> list[str]:
        """Return the words before a command that run it in the image as its account."""
        account = self.configuration["User"]
        return ["chroot", f"--userspec={account}:{account}", str(self.root)]

    def run(self, *arguments: str, **settings: str) -> str:
        """Run the entry point to its end and return what it printed."""
        done = subprocess.run(
            self.command(arguments, **settings), capture_output=True, text=True, timeout=_RUN_SECONDS, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    @contextmanager
    def started(self, part: str, *arguments: str, **settings: str) -> Iterator[None]:
        """Start a part, wait until its health check passes, and stop it at the end as an engine does."""
        began = time.monotonic()
        process = subprocess.Popen(self.command(arguments, **settings))
        try:
            while not self._is_healthy(part, **settings):
                assert process.poll() is None, f"{part} has ended"
                assert time.monotonic() - began < _START_SECONDS, f"{part} does not become healthy"
                time.sleep(1)
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(_STOP_SECONDS) == 0, f"{part} ended with status {process.returncode}"
        finally:
            process.kill()
            process.wait()

    def _is_healthy(self, part: str, **settings: str) -> bool:
        name, *_ = self.configuration["Entrypoint"]
        check = [name, "health", part, "--dagster-port", settings["DAGSTER_PORT"]]
        return subprocess.run(self.command(check[1:], **settings), capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def container(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """Build the image, and yield its root file system with data of all businesses built in it."""
    if not request.config.getoption("image"):
        pytest.skip("the image is built where --image asks for it")
    require_root()
    for name in ("buildah", "debootstrap", "mount"):
        require_program(name)
    folder = tmp_path_factory.mktemp("image")
    assert image(_TAG, folder) == 0
    buildah = buildah_in(folder)
    inspected = json.loads(_output([*buildah, "inspect", "--type", "image", _TAG]))
    name = _output([*buildah, "from", _TAG])
    root = Path(_output([*buildah, "mount", name]))
    for place in _MOUNTS:
        subprocess.run(["mount", "--rbind", "--make-rslave", place, f"{root}{place}"], check=True)
    try:
        found = Container(root, inspected["Docker"]["config"])
        found.run("sample", "--scale", "0.1", "--to", "/data/raw")
        assert "published" in found.run("run")
        yield found
    finally:
        for place in reversed(_MOUNTS):
            subprocess.run(["umount", "--recursive", "--lazy", f"{root}{place}"], check=True)
        subprocess.run([*buildah, "rm", name], check=True, capture_output=True)


@pytest.fixture
def settings() -> dict[str, str]:
    """Return the settings of a part that other programs of this machine do not meet."""
    return {
        "QUINTET_HOST": "127.0.0.1",
        "QUINTET_PORT": str(free_port()),
        "QUINTET_ADMIN_KEY": _KEY,
        "DAGSTER_PORT": str(free_port()),
    }


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_service_answers_from_the_image(container: Container, settings: dict[str, str]) -> None:
    with container.started("serve", "serve", **settings):
        url = f"http://127.0.0.1:{settings['QUINTET_PORT']}"
        answer = httpx.get(f"{url}/v1/insurance/summary", headers={"authorization": f"Bearer {_KEY}"})
        assert answer.status_code == 200
        assert answer.json()["items"], answer.text


def test_dagster_answers_from_the_image(container: Container, settings: dict[str, str]) -> None:
    with container.started("dagster", "dev", "--dagster-port", settings["DAGSTER_PORT"], **settings):
        pass


def test_its_account_writes_to_its_data_alone(container: Container) -> None:
    places = ("/data", "/tmp", "/var/tmp", "/run/lock", *_MOUNTS)
    passed_over = [word for place in places for word in ("-path", place, "-prune", "-o")]
    found = subprocess.run(  # a folder that the account cannot read has nothing that it can write
        [*container.as_account(), "find", "/", *passed_over, "-writable", "-not", "-type", "l", "-print"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout.splitlines() == []


def test_it_has_no_compiler_and_no_package_of_development(container: Container) -> None:
    folders = [container.root / name for name in ("usr/bin", "usr/local/bin", "opt/quintet/bin")]
    programs = {path.name for folder in folders for path in folder.iterdir()}
    assert {"quintet", "env"} <= programs
    assert not programs & {"gcc", "cc", "make", "pip", "pytest", "uv", "ruff"}
