"""What `deploy/` and `compose.yaml` start: each command and setting exists, and files of a bucket reach the inboxes."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import typer
import yaml

from cli.__main__ import app
from quintet.code_version import PROJECT
from quintet.embedded.object_store import EmbeddedObjectStore, program
from quintet.settings import load_settings

_SETTING = re.compile(r"\$\{\w+:-(.*?)\}")
_IN_SHELL = re.compile(r"\bquintet ([^&|;]+)")


class Started(NamedTuple):
    """A container: where it is declared, the words after `quintet` of each command, and its settings."""

    place: str
    commands: list[list[str]]
    settings: dict[str, str]


class _Template(yaml.SafeLoader):
    """Reads CloudFormation; `!Ref` and `!Sub` become texts, `!If` its two branches."""


def _text(_: yaml.SafeLoader, __: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return [yaml.safe_load(one.value) for one in node.value if isinstance(one, yaml.ScalarNode)]
    return str(node.value)


_Template.add_multi_constructor("!", _text)


def _of_shell(text: str) -> list[list[str]]:
    return [shlex.split(words) for words in _IN_SHELL.findall(text)]


def _of_compose() -> Iterator[Started]:
    services = yaml.safe_load((PROJECT / "compose.yaml").read_text("utf-8"))["services"]
    for name, service in services.items():
        words = service["command"]
        ours = "build" in service
        commands = [] if not ours else _of_shell(words[0]) if "entrypoint" in service else [words]
        settings = {key: _SETTING.sub(r"\1", value) for key, value in service.get("environment", {}).items()}
        yield Started(f"compose.yaml: {name}", commands, settings)


def _aws() -> dict[str, Any]:
    text = (PROJECT / "deploy" / "aws.yaml").read_text("utf-8")
    found: dict[str, Any] = yaml.load(text, Loader=_Template)["Resources"]  # a loader of our own
    return found


def _aws_containers() -> Iterator[dict[str, Any]]:
    for resource in _aws().values():
        yield from resource.get("Properties", {}).get("ContainerDefinitions", [])


def _of_aws() -> Iterator[Started]:
    for one in _aws_containers():
        words = one["Command"]
        shell = [text for word in words for text in (word if isinstance(word, list) else [word])]
        commands = [found for text in shell for found in _of_shell(text)] if "EntryPoint" in one else [words]
        known = {"!Ref VpcNetwork": "10.0.0.0/16"}
        settings = {entry["Name"]: known.get(entry["Value"], entry["Value"]) for entry in one["Environment"]}
        settings |= {"QUINTET_TRUSTED_PROXIES": "10.0.0.0/16"}
        settings = {name: value.replace("${", "").replace("}", "") for name, value in settings.items()}
        settings |= dict.fromkeys((entry["Name"] for entry in one["Secrets"]), "postgresql://a:b@c/d")
        yield Started(f"deploy/aws.yaml: {one['Name']}", commands, settings)
        if check := one.get("HealthCheck"):
            yield Started(f"deploy/aws.yaml: health of {one['Name']}", [check["Command"][2:]], {})


def _of_kubernetes() -> Iterator[Started]:
    parts = list(yaml.safe_load_all((PROJECT / "deploy" / "kubernetes.yaml").read_text("utf-8")))
    settings = next(part["data"] for part in parts if part["kind"] == "ConfigMap")
    for part in parts:
        pod = part.get("spec", {}).get("template", {}).get("spec", {})
        for one in [*pod.get("initContainers", []), *pod.get("containers", [])]:
            commands = [one["args"]] if "args" in one else _of_shell(one["command"][-1])
            checks = [one[kind] for kind in ("startupProbe", "livenessProbe") if "exec" in one.get(kind, {})]
            commands += [check["exec"]["command"][1:] for check in checks]
            yield Started(f"deploy/kubernetes.yaml: {one['name']}", commands, settings)


def _of_fly() -> Iterator[Started]:
    given = tomllib.loads((PROJECT / "deploy" / "fly.toml").read_text("utf-8"))
    for name, text in given["processes"].items():
        yield Started(f"deploy/fly.toml: {name}", [shlex.split(text)], given["env"])


STARTED = [*_of_compose(), *_of_aws(), *_of_kubernetes(), *_of_fly()]


def understand(words: list[str]) -> None:
    """Parse a command of `quintet`. Raises an error if there is none such, or it has no such option."""
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        name, *words = words
        assert name in command.commands, f"there is no command {name}"
        command = command.commands[name]
    command.make_context("quintet", [*words])


def test_every_place_starts_service_stream_and_builds() -> None:
    started: dict[str, set[str]] = {one.place.split(":")[0]: set() for one in STARTED}
    for one in STARTED:
        started[one.place.split(":")[0]] |= {words[0] for words in one.commands}
    assert set(started) == {"compose.yaml", "deploy/aws.yaml", "deploy/kubernetes.yaml", "deploy/fly.toml"}
    assert [place for place, names in started.items() if not {"serve", "stream", "dev"} <= names] == []


@pytest.mark.parametrize("started", STARTED, ids=lambda one: one.place)
def test_every_command_and_setting_of_a_container_exists(started: Started) -> None:
    for words in started.commands:
        understand(words)
    load_settings({name: value for name, value in started.settings.items() if name.startswith("QUINTET_")})


def test_a_command_that_does_not_exist_is_found() -> None:
    with pytest.raises(Exception, match="No such option: --stand-by"):
        understand(["stream", "--stand-by"])
    with pytest.raises(AssertionError, match="no command streams"):
        understand(["streams"])


def test_every_reader_of_the_bucket_has_the_shared_state_and_the_published_files() -> None:
    shared = {"QUINTET_STATE_URL", "QUINTET_SERVING_URL", "QUINTET_OBJECT_STORE_URL"}
    for one in STARTED:
        if one.place.startswith("deploy/aws.yaml") and "health" not in one.place:
            assert shared <= set(one.settings), one.place


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[EmbeddedObjectStore]:
    with EmbeddedObjectStore(tmp_path / "s3") as store:
        yield store


def test_a_file_of_the_bucket_reaches_its_inbox_once_and_one_just_written_waits(
    bucket: EmbeddedObjectStore, tmp_path: Path
) -> None:
    ready, fresh = bucket.objects / "transactions" / "ready é.csv", bucket.objects / "transactions" / "fresh.csv"
    ready.parent.mkdir()
    ready.write_text("time,status,count\n")
    fresh.write_text("time,sta")
    long_ago = time.time() - 3_600
    os.utime(ready, (long_ago, long_ago))
    os.utime(fresh, (time.time() + 3_600,) * 2)
    (inbox,) = [one for one in _aws_containers() if one["Name"] == "inbox"]
    once = inbox["Command"][0].split("do ", 1)[1].split(";")[0].replace(" /data/raw", f" {shlex.quote(str(tmp_path))}")
    url = urlsplit(bucket.url)
    environment = {
        "PATH": f"{program().parent}:{os.environ['PATH']}",
        "INBOX": url.path.strip("/"),
        "RCLONE_S3_ENDPOINT": f"http://{url.hostname}:{url.port}",
        "RCLONE_S3_FORCE_PATH_STYLE": "true",
        "AWS_ACCESS_KEY_ID": str(url.username),
        "AWS_SECRET_ACCESS_KEY": str(url.password),
    }
    for _ in range(2):
        done = subprocess.run(["sh", "-c", once], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    assert [path.name for path in (tmp_path / "transactions").iterdir()] == ["ready é.csv"]
    assert [path.name for path in ready.parent.iterdir()] == ["fresh.csv"]
