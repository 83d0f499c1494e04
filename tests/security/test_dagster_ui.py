"""Neither a web page nor another user of the machine can act through Dagster's UI."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import websockets
from playwright.sync_api import sync_playwright

from quintet.embedded.processes import free_port
from tests.conftest import Quintet
from tests.machine import require_program
from tests.security.dagster_ui import Ui, running_ui
from tests.waiting import LONG_SECONDS, wait_until

_LAUNCH = """
mutation { launchRun(executionParams: {
  selector: {repositoryLocationName: "definitions:defs", repositoryName: "__repository__", pipelineName: "everything"}
  runConfigData: "{resources: {dbt: {config: {dbt_executable: '%s'}}}}"
}) { __typename ... on PythonError { message } } }
"""
_RUNS = "{ runsOrError { ... on Runs { count } } }"
_SUBSCRIPTION = "subscription { locationStateChangeEvents { __typename } }"
_SUBSCRIBE = {"type": "start", "id": "1", "payload": {"query": _SUBSCRIPTION}}


_ATTACK = """async ([url, mutation]) => {
  const results = [], socketUrl = url.replace('http', 'ws') + '/graphql'
  const inAddress = '/graphql?query=' + encodeURIComponent(mutation), body = JSON.stringify({query: mutation})
  const attempt = async (path, options) => {
    try { results.push((await fetch(url + path, {credentials: 'include', ...options})).status) }
    catch (error) { results.push('blocked') }
  }
  await attempt(inAddress, {mode: 'no-cors'})
  await attempt('/graphql', {method: 'POST', mode: 'no-cors', body})
  await attempt('/graphql', {method: 'POST', headers: {'content-type': 'application/json'}, body})
  await new Promise(done => {
    const image = new Image()
    image.onload = image.onerror = done
    image.src = url + inAddress
  })
  await new Promise(done => {
    const socket = new WebSocket(socketUrl, 'graphql-ws')
    socket.onopen = () => { results.push('open'); done() }
    socket.onerror = done
  })
  return results
}"""


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """Yield a running UI over an empty home without inboxes."""
    folder = tmp_path_factory.mktemp("ui")
    (folder / "raw").mkdir()
    with running_ui(Quintet(folder / "raw", folder / "home")) as found:
        yield found


def _runs(ui: Ui) -> int:
    return int(ui.ask(_RUNS)["runsOrError"]["count"])


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Return a program that leaves a trace if anything executes it."""
    script = tmp_path / "evil"
    script.write_text(f"#!/bin/sh\ntouch '{tmp_path}/executed'\n", "utf-8")
    script.chmod(0o755)
    return script


def test_mutations_without_the_token_or_from_another_page_are_refused(ui: Ui, program: Path) -> None:
    mutation, before = _LAUNCH % program, _runs(ui)
    cookie = {"cookie": f"quintet_dagster_{ui.port}={ui.token}"}
    elsewhere = cookie | {"origin": "http://evil.example", "sec-fetch-site": "cross-site"}
    body = json.dumps({"query": mutation})
    attempts = [
        httpx.get(f"{ui.url}/graphql?query={quote(mutation)}"),
        httpx.get(f"{ui.url}/graphql?query={quote(mutation)}", headers=cookie),
        httpx.get(f"{ui.url}/graphql?query={quote(mutation)}", headers=elsewhere),
        httpx.post(f"{ui.url}/graphql?query={quote(mutation)}", headers=cookie),
        httpx.post(f"{ui.url}/graphql", content=body, headers={"content-type": "application/json"}),
        httpx.post(f"{ui.url}/graphql", content=body, headers=elsewhere | {"content-type": "application/json"}),
        httpx.post(f"{ui.url}/graphql", content=body, headers=elsewhere | {"content-type": "text/plain"}),
        httpx.post(f"{ui.url}/graphql", content=mutation, headers=cookie | {"content-type": "application/graphql"}),
        httpx.post(f"{ui.url}/report_asset_materialization/marts/x", headers=elsewhere),
        httpx.get(f"{ui.url}/", headers=cookie | {"host": f"evil.example:{ui.port}"}),
        httpx.get(f"{ui.url}/server_info"),
        httpx.get(f"{ui.url}/notebook?repoLocName=definitions:defs&path=/etc/x.ipynb"),
        httpx.get(f"{ui.url}/logs/x/y.err"),
    ]
    assert [answer.status_code for answer in attempts if answer.status_code < 400] == []
    assert _runs(ui) == before


def test_whoever_has_the_token_still_cannot_choose_what_is_executed(ui: Ui, program: Path) -> None:
    answer = ui.ask(_LAUNCH % program)["launchRun"]
    assert answer["__typename"] == "RunConfigValidationInvalid", answer
    assert not program.with_name("executed").exists()


async def _subscribe(ui: Ui, **headers: str) -> dict[str, Any]:
    async with asyncio.timeout(LONG_SECONDS):
        async with websockets.connect(
            f"ws://127.0.0.1:{ui.port}/graphql",
            subprotocols=[websockets.Subprotocol("graphql-ws")],
            additional_headers={name.replace("_", "-"): value for name, value in headers.items()},
        ) as socket:
            await socket.send(json.dumps({"type": "connection_init"}))
            answer: dict[str, Any] = json.loads(await socket.recv())
            await socket.send(json.dumps(_SUBSCRIBE))
            return answer


def test_subscriptions_work_with_the_token_and_from_the_uis_own_pages_only(ui: Ui) -> None:
    cookie = f"quintet_dagster_{ui.port}={ui.token}"
    for allowed in ({"authorization": f"Bearer {ui.token}"}, {"cookie": cookie, "origin": ui.url}):
        assert asyncio.run(_subscribe(ui, **allowed)) == {"type": "connection_ack"}
    for refused in ({}, {"cookie": cookie}, {"cookie": cookie, "origin": "http://evil.example"}, {"origin": ui.url}):
        with pytest.raises(websockets.InvalidStatus):
            asyncio.run(_subscribe(ui, **refused))


def test_another_user_finds_neither_the_token_nor_an_open_socket(ui: Ui) -> None:
    token = ui.quintet.home / "dagster" / "ui-token"
    assert stat.S_IMODE(ui.quintet.home.stat().st_mode) == 0o700
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    command_lines = b""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command_lines += process.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
    assert ui.token.encode() not in command_lines
    sockets = _sockets_of(ui)
    assert sockets, "the code server listens on a socket"
    assert [path for path in sockets if path.stat().st_mode & 0o077] == []


def _sockets_of(ui: Ui) -> list[Path]:
    """Return the Unix sockets on which the processes of the UI listen."""
    listening = {}
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        columns = line.split()
        if len(columns) == 8 and int(columns[3], 16) & 0x10000:
            listening[columns[6]] = Path(columns[7])
    found = []
    home = str(ui.quintet.home).encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"QUINTET_HOME=" + home not in (process / "environ").read_bytes().split(b"\0"):
                continue
            links = [os.readlink(link) for link in (process / "fd").iterdir()]  # noqa: PTH115  # not a path
        except OSError:
            continue
        found += [listening[link[8:-1]] for link in links if link.startswith("socket:[") and link[8:-1] in listening]
    return [path for path in found if path.is_socket()]


def test_a_browser_opens_the_link_and_a_page_of_another_site_reaches_nothing(ui: Ui, program: Path) -> None:
    before, mutation = _runs(ui), _LAUNCH % program
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=require_program("chromium"), args=["--no-sandbox"])
        context = browser.new_context()
        context.set_default_timeout(LONG_SECONDS * 1_000)
        own = context.new_page()
        own.goto(f"{ui.url}/?token={ui.token}")
        wait_until(lambda: "token" not in own.url)
        own.get_by_text("Lineage").first.wait_for()  # the application runs, and its queries get through
        other = context.new_page()
        for site in (f"http://127.0.0.1:{free_port()}/", "http://evil.example/"):
            other.route(site, lambda route: route.fulfill(body="<html></html>", content_type="text/html"))
            other.goto(site)
            seen = other.evaluate(_ATTACK, [ui.url, mutation])
            assert "open" not in seen
            assert 200 not in seen
        browser.close()
    assert _runs(ui) == before
    assert not program.with_name("executed").exists()
