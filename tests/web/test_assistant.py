"""`quintet mcp`: the routes that read as tools, over the service and with its keys."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from contextlib import closing
from pathlib import Path

import anyio
from mcp import Client, StdioServerParameters, types
from mcp.client.stdio import stdio_client

from quintet.domains import open_state_store
from quintet.lending.online import OnlineFeatures
from quintet.state.keys import create_key
from tests.unit.lending.models import scorecard
from tests.web.lending_decisions import PATH, an_application, keep
from tests.web.lending_decisions import serving as serving_lending
from tests.web.service import serving

_PROJECT = Path(__file__).parents[2]


def _text(result: types.CallToolResult) -> str:
    [part] = result.content
    assert isinstance(part, types.TextContent)
    return part.text


def test_the_official_client_explains_a_decision_over_stdio_with_the_rights_of_its_key(
    own_home: Path,
    online: OnlineFeatures,  # noqa: ARG001  # it fills the home
    tmp_path: Path,
) -> None:
    keep(own_home, scorecard())
    with serving_lending(own_home) as lending:
        decided = lending.post(PATH, json=an_application()).json()
    with closing(open_state_store(own_home / "online")) as store:
        texts = {
            scope: create_key(store, scope, [scope], dt.datetime.now(dt.UTC), os.urandom)[1]
            for scope in ("lending:read", "insurance:read")
        }

    async def ask(url: str, key: str) -> tuple[set[str], types.CallToolResult, types.CallToolResult]:
        file = tmp_path / "key"
        file.write_text(key, "utf-8")
        command = ["-m", "cli", "mcp", "--url", url, "--key-file", str(file)]
        program = StdioServerParameters(command=sys.executable, args=command, cwd=_PROJECT, env=dict(os.environ))
        async with Client(stdio_client(program)) as client:
            tools = {tool.name for tool in (await client.list_tools()).tools}
            explained = await client.call_tool("explain_loan_decision", {"application_id": 100})
            return tools, explained, await client.call_tool("insurance_summary", {})

    with serving(own_home, tmp_path / "log") as server:
        tools, explained, figures = anyio.run(ask, server.url, texts["lending:read"])
        _, forbidden, _ = anyio.run(ask, server.url, texts["insurance:read"])
    assert {"explain_loan_decision", "insurance_summary"} <= tools
    answer = json.loads(_text(explained))
    assert (answer["decision"], answer["score"]) == (decided["decision"], decided["score"])
    assert "identical bit for bit" in answer["reproduced"]
    assert figures.is_error
    assert "lacks the scope insurance:read" in _text(figures)
    assert forbidden.is_error
    assert "lacks the scope lending:read" in _text(forbidden)


def test_the_explanation_of_an_undecided_application_is_not_found(own_home: Path) -> None:
    with serving_lending(own_home) as lending:
        answer = lending.get(f"{PATH}/5")
    assert (answer.status_code, answer.json()["detail"]) == (404, "the log has no decision of application 5")
