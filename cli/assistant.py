"""`quintet mcp`: the read-only routes of a running service as tools of the Model Context Protocol, over stdio.

A tool is a GET route below `/v1`: the same parameters, descriptions, scopes and limits. The service checks the caller's
key at each request; this process reads nothing else.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from quintet.http_client import async_http_client
from quintet.masking import masked

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

_SECONDS = 60.0
_MOST_CHARACTERS = 200_000  # of an answer; an assistant reads no more at once
_NAMES = {
    "/v1/lending/decisions/{application_id}": "explain_loan_decision",
    "/v1/lending/applications/{application_id}/notice": "loan_rejection_notice",
    "/v1/cases/{case_id}": "explain_case",
}
"""Names that say more than their path."""


class AssistantError(Exception):
    """The tools cannot be offered; the text says why and what to do."""


@dataclass(frozen=True)
class Route:
    """A route that a tool calls. schema: the JSON Schema of its arguments. in_path: the arguments in its path."""

    name: str
    path: str
    description: str
    schema: Mapping[str, Any]
    in_path: Sequence[str]


def routes_of(document: Mapping[str, Any]) -> list[Route]:
    """Return the routes of an OpenAPI document that read and answer with JSON, one for each tool."""
    found = []
    for path, item in document["paths"].items():
        operation = item.get("get")
        if operation is None or not path.startswith("/v1/"):
            continue
        if "application/json" not in operation["responses"]["200"].get("content", {}):
            continue
        parameters = [one for one in operation.get("parameters", []) if one["in"] in ("path", "query")]
        words = [word for word in path.removeprefix("/v1/").split("/") if not word.startswith("{")]
        found.append(
            Route(
                name=_NAMES.get(path, "_".join(words).replace("-", "_")),
                path=path,
                description=operation.get("description") or operation.get("summary", ""),
                schema={
                    "type": "object",
                    "properties": {one["name"]: _argument(one, document) for one in parameters},
                    "required": [one["name"] for one in parameters if one.get("required")],
                    "additionalProperties": False,
                },
                in_path=[one["name"] for one in parameters if one["in"] == "path"],
            )
        )
    names = [route.name for route in found]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise AssistantError(f"several routes would be the tools {', '.join(doubled)}; give them names in {__name__}")
    return found


def _argument(parameter: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    described = {"description": parameter["description"]} if "description" in parameter else {}
    resolved: dict[str, Any] = _resolved(parameter["schema"], document) | described
    return resolved


def _resolved(schema: Any, document: Mapping[str, Any]) -> Any:
    """Return a schema with what it refers to in its place."""
    if isinstance(schema, list):
        return [_resolved(one, document) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _resolved(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    return {name: _resolved(value, document) for name, value in schema.items()}


def request_of(route: Route, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return path and query of a call. Raises AssistantError for an unknown or missing argument."""
    unknown = sorted(arguments.keys() - route.schema["properties"].keys())
    missing = [name for name in route.schema["required"] if arguments.get(name) is None]
    if unknown or missing:
        faults = [*(f"there is no argument {name}" for name in unknown), *(f"{name} is missing" for name in missing)]
        raise AssistantError(f"{route.name}: {'; '.join(faults)}. It takes {', '.join(route.schema['properties'])}")
    path = route.path
    for name in route.in_path:
        path = path.replace(f"{{{name}}}", quote(str(arguments[name]), safe=""))
    query = {name: value for name, value in arguments.items() if name not in route.in_path and value is not None}
    return path, query


async def build_server(client: httpx.AsyncClient) -> Server[Any]:
    """Return the server of the tools. client: asks the service, with its address and the key.

    Raises AssistantError if the service does not answer or refuses the key.
    """
    from mcp import types  # noqa: PLC0415  # an extra
    from mcp.server.lowlevel import Server  # noqa: PLC0415

    routes = {route.name: route for route in routes_of(await _document(client))}
    hints = types.ToolAnnotations(read_only_hint=True, destructive_hint=False, open_world_hint=False)
    tools = [
        types.Tool(name=one.name, description=one.description, input_schema=dict(one.schema), annotations=hints)
        for one in routes.values()
    ]

    async def list_tools(_context: Any, _params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=tools)

    async def call_tool(_context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        route = routes.get(params.name)
        try:
            if route is None:
                raise AssistantError(f"there is no tool {params.name}; there are {', '.join(routes)}")
            text = await _answer(client, *request_of(route, params.arguments or {}))
        except AssistantError as error:
            return types.CallToolResult(content=[types.TextContent(text=str(error))], is_error=True)
        return types.CallToolResult(content=[types.TextContent(text=text)])

    return Server(
        "quintet",
        version="1",
        instructions="Published figures of five businesses. Each answer names its snapshot. Lists are paged: send "
        "next_page_token as page_token. All tools only read.",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def _document(client: httpx.AsyncClient) -> Mapping[str, Any]:
    document: Mapping[str, Any] = json.loads(await _answer(client, "/openapi.json", {}, whole=True))
    return document


async def _answer(client: httpx.AsyncClient, path: str, query: Mapping[str, Any], *, whole: bool = False) -> str:
    """Return the text of an answer. Raises AssistantError for a problem, with what the service says about it."""
    try:
        answer = await client.get(path, params=query)
    except httpx.HTTPError as error:
        where = f"the service at {masked(str(client.base_url))}"
        raise AssistantError(f"{where} does not answer ({type(error).__name__}); is it running?") from None
    if answer.status_code >= 300:
        raise AssistantError(_problem(answer))
    if len(answer.text) > _MOST_CHARACTERS and not whole:
        raise AssistantError(
            f"the answer has {len(answer.text):,} characters, more than {_MOST_CHARACTERS:,}; ask for less: filter, or "
            "lower page_size"
        )
    return answer.text


def _problem(answer: httpx.Response) -> str:
    try:
        body = answer.json()
        faults = "".join(f"; {fault['where']}: {fault['what']}" for fault in body.get("errors", []))
        return f"{answer.status_code}: {body['detail']}{faults}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{answer.status_code} {answer.reason_phrase}: this is no answer of a Quintet service; check --url"


def read_key(file: Path) -> str:
    """Return the key in a file. Raises AssistantError if there is none."""
    try:
        text = file.read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        raise AssistantError(f"the key file {file} cannot be read: {error}") from None
    if not text or not text.isascii() or not text.isprintable():
        raise AssistantError(f"the key file {file} holds no key; write into it what `quintet keys create` shows")
    return text


def main(url: str, key_file: Path) -> int:
    """Offer the tools on stdin and stdout until the client closes them; return the exit status."""
    try:
        import anyio  # noqa: PLC0415  # comes with httpx
        from mcp.server.stdio import stdio_server  # noqa: PLC0415
    except ImportError:
        print("`quintet mcp` needs the package mcp: pip install 'quintet[mcp]', or `make install`", file=sys.stderr)
        return 2

    async def serve() -> None:
        headers = {"authorization": f"Bearer {read_key(key_file)}"}
        async with async_http_client(base_url=url, headers=headers, timeout=_SECONDS) as client:
            server = await build_server(client)
            async with stdio_server() as (incoming, outgoing):
                await server.run(incoming, outgoing, server.create_initialization_options())

    try:
        anyio.run(serve)
    except AssistantError as error:
        print(error, file=sys.stderr)
        return 2
    return 0
