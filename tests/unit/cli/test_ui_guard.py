"""Only who has the link gets through to Dagster's UI, and no page of another site acts in that person's name."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from cli.ui_guard import PublicAddress, UiGuard

TOKEN = "t" * 64
HOST = "127.0.0.1:3000"
COOKIE = {"cookie": f"quintet_dagster_3000={TOKEN}"}
OWN = COOKIE | {"origin": f"http://{HOST}", "sec-fetch-site": "same-origin"}
JSON = {"content-type": "application/json"}
BEARER = {"authorization": f"Bearer {TOKEN}"}


async def _answer(_: Request) -> Response:
    return PlainTextResponse("through", headers={"referrer-policy": "unsafe-url"})


async def _talk(socket: WebSocket) -> None:
    await socket.accept(subprotocol="graphql-ws")
    await socket.send_text(await socket.receive_text())
    await socket.close()


@pytest.fixture
def client() -> TestClient:
    """Return a client of a guarded application that answers everything, as Dagster's does."""
    methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]
    app = Starlette(routes=[WebSocketRoute("/graphql", _talk), Route("/{path:path}", _answer, methods=methods)])
    return TestClient(UiGuard(app, TOKEN, 3000), base_url=f"http://{HOST}", follow_redirects=False)


ALLOWED = {
    "a page of the UI": ("GET", "/runs", COOKIE),
    "a page, opened by a link elsewhere": (
        "GET",
        "/runs",
        COOKIE | {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
    ),
    "a query of the UI": ("POST", "/graphql", OWN | JSON),
    "a query through a tunnel on another port": (
        "POST",
        "/graphql",
        COOKIE | JSON | {"host": "localhost:3999", "origin": "http://localhost:3999"},
    ),
    "a program": ("POST", "/graphql", BEARER | JSON),
    "GraphiQL": ("GET", "/graphql", COOKIE),
    "a cookie beside others": ("GET", "/", {"cookie": f"a=b; {COOKIE['cookie']}; other={{}}"}),
}
REFUSED = {
    "no token": ("GET", "/", {}, 403),
    "no token for a query": ("POST", "/graphql", JSON, 403),
    "a wrong token": ("GET", "/", {"authorization": f"Bearer {TOKEN[:-1]}u"}, 403),
    "a token of another kind": ("GET", "/", {"authorization": f"Basic {TOKEN}"}, 403),
    "a wrong cookie": ("GET", "/", {"cookie": "quintet_dagster_3000=x"}, 403),
    "the cookie of another port": ("GET", "/", {"cookie": f"quintet_dagster_3001={TOKEN}"}, 403),
    "a wrong link": ("GET", "/?token=x", {}, 403),
    "a wrong link with a good cookie": ("GET", "/?token=x", COOKIE, 403),
    "a name that resolves here": ("GET", "/", COOKIE | {"host": "evil.example:3000"}, 421),
    "a name that begins as this machine's": ("GET", "/", COOKIE | {"host": "127.0.0.1.evil.example"}, 421),
    "a name with a user": ("GET", "/", COOKIE | {"host": "127.0.0.1@evil.example"}, 421),
    "no name": ("GET", "/", COOKIE | {"host": ""}, 421),
    "a broken name": ("GET", "/", COOKIE | {"host": "[::1"}, 421),
    "a page of another site": ("POST", "/graphql", OWN | JSON | {"origin": "http://evil.example"}, 403),
    "a page of another port": ("POST", "/graphql", OWN | JSON | {"origin": "http://127.0.0.1:3001"}, 403),
    "a sandboxed page": ("POST", "/graphql", OWN | JSON | {"origin": "null"}, 403),
    "a page without an origin": ("POST", "/graphql", COOKIE | JSON, 403),
    "a page of another site with a token": ("POST", "/graphql", BEARER | JSON | {"origin": "http://evil.example"}, 403),
    "an image on another site": ("GET", "/logs/x", COOKIE | {"sec-fetch-site": "cross-site"}, 403),
    "a frame on another port": (
        "GET",
        "/",
        COOKIE | {"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
        403,
    ),
    "a mutation in the address": ("GET", "/graphql?query=mutation{a}", OWN, 405),
    "a mutation in the address, with a slash": ("GET", "/graphql/?query=mutation{a}", OWN, 405),
    "a mutation in the address of a HEAD": ("HEAD", "/graphql?query=mutation{a}", OWN, 405),
    "a mutation in the address of a POST": ("POST", "/graphql?query=mutation{a}", OWN | JSON, 405),
    "an escaped name": ("GET", "/graphql?%71uery=mutation{a}", OWN, 405),
    "a form": ("POST", "/graphql", OWN | {"content-type": "application/x-www-form-urlencoded"}, 415),
    "a form as text": ("POST", "/graphql", OWN | {"content-type": "text/plain;application/json"}, 415),
    "a body without a type": ("POST", "/report_asset_materialization/x", OWN, 415),
    "a form to another route": ("POST", "/report_asset_check/x", OWN | {"content-type": "text/plain"}, 415),
    "another method": ("PUT", "/graphql", OWN | JSON, 405),
    "a preflight": ("OPTIONS", "/graphql", OWN, 405),
}


@pytest.mark.parametrize(("method", "path", "headers"), ALLOWED.values(), ids=ALLOWED)
def test_the_ui_and_programs_with_the_token_get_through(
    client: TestClient, method: str, path: str, headers: Mapping[str, str]
) -> None:
    answer = client.request(method, path, headers=dict(headers))
    assert (answer.status_code, answer.text) == (200, "through")
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(("method", "path", "headers", "status"), REFUSED.values(), ids=REFUSED)
def test_everything_else_is_refused(
    client: TestClient, method: str, path: str, headers: Mapping[str, str], status: int
) -> None:
    answer = client.request(method, path, headers=dict(headers))
    assert (answer.status_code, "through" in answer.text) == (status, False)


def test_two_names_are_refused(client: TestClient) -> None:
    headers = [*COOKIE.items(), ("host", HOST), ("host", "evil.example")]
    assert client.get("/", headers=headers).status_code == 421


def test_the_link_sets_a_cookie_that_scripts_cannot_read_and_leaves_the_address(client: TestClient) -> None:
    answer = client.get(f"/runs?status=failed&token={TOKEN}&x=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs?status=failed&x=1")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert client.get("/runs").text == "through"


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example", "/%5Cevil.example", "///evil.example"])
def test_the_link_leads_to_no_other_host(client: TestClient, path: str) -> None:
    answer = client.get(f"http://{HOST}{path}?token={TOKEN}")
    assert answer.headers.get("location", "/x").startswith("/")
    assert not answer.headers.get("location", "/x").startswith(("//", "/\\"))


def test_a_websocket_of_the_ui_and_of_a_program_gets_through(client: TestClient) -> None:
    for headers in (OWN, BEARER):
        with client.websocket_connect(f"ws://{HOST}/graphql", subprotocols=["graphql-ws"], headers=headers) as socket:
            socket.send_text("hello")
            assert socket.receive_text() == "hello"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        COOKIE,
        OWN | {"origin": "http://evil.example"},
        OWN | {"origin": "http://127.0.0.1:8000"},
        OWN | {"host": "evil.example"},
        {"origin": f"http://{HOST}"},
    ],
    ids=["nothing", "no origin", "another site", "another port", "another host", "no token"],
)
def test_any_other_websocket_is_refused(client: TestClient, headers: dict[str, str]) -> None:
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        client.websocket_connect(f"ws://{HOST}/graphql", headers=headers),
    ):
        pass
    assert refused.value.code == 1008


PUBLIC = PublicAddress.of("https://Data.example.org:443/dagster/")


@pytest.fixture
def published() -> TestClient:
    """Return a client of a guarded application that a proxy publishes."""
    app = Starlette(routes=[Route("/dagster/{path:path}", _answer, methods=["GET", "POST"])])
    guard = UiGuard(app, TOKEN, 3000, PUBLIC)
    return TestClient(guard, base_url="http://data.example.org", follow_redirects=False)


def test_a_public_address_is_written_as_browsers_write_it() -> None:
    assert (PUBLIC.origin, PUBLIC.host, PUBLIC.path) == ("https://data.example.org", "data.example.org", "/dagster")
    assert PublicAddress.of("http://x:8080").host == "x:8080"


def test_the_link_behind_a_proxy_sets_a_secure_cookie_below_the_path(published: TestClient) -> None:
    entered = published.get(f"/dagster/?token={TOKEN}")
    assert entered.headers["location"] == "/dagster/"
    assert "Path=/dagster;" in entered.headers["set-cookie"]
    assert "Secure" in entered.headers["set-cookie"]
    local = published.get(f"/dagster/?token={TOKEN}", headers={"host": HOST})
    assert "Secure" not in local.headers["set-cookie"]  # a tunnel has no TLS


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://data.example.org"}, 200),
        ({"origin": "http://data.example.org"}, 403),
        ({"origin": "https://data.example.org.evil"}, 403),
        ({"origin": "https://data.example.org", "host": "data.example.org:8443"}, 421),
        ({"origin": "https://data.example.org", "host": HOST}, 403),
        ({"origin": f"http://{HOST}", "host": HOST}, 200),
    ],
)
def test_behind_a_proxy_only_its_own_pages_change_things(
    published: TestClient, headers: dict[str, str], status: int
) -> None:
    answer = published.post("/dagster/graphql", content="{}", headers=COOKIE | JSON | headers)
    assert answer.status_code == status


def test_graphql_in_the_address_is_refused_below_the_path_too(published: TestClient) -> None:
    assert published.get("/dagster/graphql?query={version}", headers=COOKIE).status_code == 405
