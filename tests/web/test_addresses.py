"""Behind a proxy that publishes the service under a path: no address leads past it, and only a trusted one is heard."""

from __future__ import annotations

import re

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from quintet.web.addresses import TrustedProxies
from tests.web.crawler import crawl
from tests.web.routes import PARAMETERS, routes
from tests.web.service import ADMIN, ADMIN_KEY

PREFIX = "/some/where"
FORWARDED = {"x-forwarded-prefix": PREFIX, "x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.7"}
BROWSER = {"accept": "text/html"}
ENDLESS = "/v1/payments/stream"
PROXY = ("127.0.0.1", 1)


@pytest.fixture
def proxied(app: FastAPI, client: TestClient) -> TestClient:  # noqa: ARG001  # the client starts the app
    """Return a client whose requests a trusted proxy passes on after removing the prefix."""
    return TestClient(
        TrustedProxies(app, "127.0.0.1"),
        base_url="http://inside:8000",
        headers=FORWARDED,
        follow_redirects=False,
        raise_server_exceptions=False,
        client=PROXY,
    )


def as_outside(address: str) -> str:
    """Return the path that the proxy passes on."""
    assert address.startswith(PREFIX), address
    return address.removeprefix(PREFIX)


class AsReader(httpx.Client):
    """A client that asks for addresses as people see them, which the proxy shortens."""

    def __init__(self, inner: TestClient) -> None:
        super().__init__()
        self.inner = inner

    def get(self, url: str, **options: object) -> httpx.Response:  # type: ignore[override]
        return self.inner.get(as_outside(url), **options)  # type: ignore[arg-type]


def test_every_address_of_every_page_leads_through_the_proxy(proxied: TestClient) -> None:
    proxied.headers["authorization"] = ADMIN["authorization"]
    found = crawl(AsReader(proxied), PREFIX)
    assert found.outside == []
    assert found.failures == {}
    assert {f"{PREFIX}/{name}" for name in ("insurance", "conversions", "promotions", "lending", "payments")} <= set(
        found.statuses
    )
    assert f"{PREFIX}/sign-out" in found.posts


def test_the_crawl_finds_an_address_that_leads_past_the_proxy() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, html='<a href="/insurance">Insurance</a><form method="post" action="/p/x"></form>')

    with httpx.Client(transport=httpx.MockTransport(answer), base_url="http://inside") as client:
        found = crawl(client, "/p")
    assert found.outside == ["/insurance on /p/"]
    assert found.posts == {"/p/x"}


def test_signing_in_and_out_stays_below_the_prefix(proxied: TestClient) -> None:
    asked = proxied.get("/insurance?state=OH", headers=BROWSER)
    assert asked.headers["location"] == f"{PREFIX}/sign-in?next=%2Finsurance%3Fstate%3DOH"

    entered = proxied.post("/sign-in", data={"key": ADMIN_KEY, "next_page": "/insurance?state=OH"})
    assert (entered.status_code, entered.headers["location"]) == (303, f"{PREFIX}/insurance?state=OH")
    cookie = entered.headers["set-cookie"]
    assert f"Path={PREFIX};" in cookie
    assert "Secure" in cookie

    left = proxied.post("/sign-out", headers={"cookie": cookie.partition(";")[0]})
    assert left.headers["location"] == f"{PREFIX}/sign-in"
    assert f"Path={PREFIX};" in left.headers["set-cookie"]


@pytest.mark.parametrize("given", [{"x-forwarded-prefix": PREFIX}, {}])
def test_without_tls_the_cookie_is_not_secure(app: FastAPI, client: TestClient, given: dict[str, str]) -> None:  # noqa: ARG001
    plain = TestClient(TrustedProxies(app, "127.0.0.1"), headers=given, follow_redirects=False, client=PROXY)
    entered = plain.post("/sign-in", data={"key": ADMIN_KEY})
    assert entered.headers["location"] == given.get("x-forwarded-prefix", "") + "/"
    assert f"Path={given.get('x-forwarded-prefix', '/')};" in entered.headers["set-cookie"]
    assert "Secure" not in entered.headers["set-cookie"]


@pytest.mark.parametrize("trusted", ["", "10.0.0.0/8"])
def test_headers_of_others_are_ignored(app: FastAPI, client: TestClient, trusted: str) -> None:  # noqa: ARG001
    forged = TestClient(TrustedProxies(app, trusted), headers=FORWARDED, follow_redirects=False, client=PROXY)
    asked = forged.get("/insurance", headers=BROWSER)
    assert asked.headers["location"] == "/sign-in?next=%2Finsurance"
    assert "Secure" not in forged.post("/sign-in", data={"key": ADMIN_KEY}).headers["set-cookie"]


@pytest.mark.parametrize("trusted", ["127.0.0.5/8", "127.0.0.1, 10.0.0.1", "::1 127.0.0.0/24"])
def test_networks_are_read_as_the_setting_allows_them(app: FastAPI, client: TestClient, trusted: str) -> None:  # noqa: ARG001
    heard = TestClient(TrustedProxies(app, trusted), headers=FORWARDED, follow_redirects=False, client=PROXY)
    assert heard.get("/insurance", headers=BROWSER).headers["location"].startswith(PREFIX)


@pytest.mark.parametrize("prefix", ["//evil.example", "https://evil.example", "/a//b", "/a/../b", "a", "/a b", "/a?b"])
def test_a_prefix_that_could_lead_elsewhere_is_refused(proxied: TestClient, prefix: str) -> None:
    answer = proxied.get("/insurance", headers=BROWSER | {"x-forwarded-prefix": prefix})
    assert (answer.status_code, "X-Forwarded-Prefix" in answer.text) == (400, True)


@pytest.mark.parametrize(
    ("asked", "target"),
    [
        ("/insurance/?state=OH", "/insurance?state=OH"),
        ("/v1/insurance/summary/", "/v1/insurance/summary"),
        ("//insurance//", "/insurance"),
    ],
)
def test_a_last_slash_redirects_to_a_path_with_the_prefix(proxied: TestClient, asked: str, target: str) -> None:
    answer = proxied.get(f"http://evil.example{asked}")
    assert (answer.status_code, answer.headers["location"]) == (307, PREFIX + target)


@pytest.mark.parametrize("asked", ["/nothing/", "/", "//evil.example/"])
def test_a_last_slash_of_no_route_redirects_nowhere(proxied: TestClient, asked: str) -> None:
    assert proxied.get(f"http://inside{asked}").status_code in {401, 404}


def test_the_document_and_problems_name_the_path(proxied: TestClient) -> None:
    proxied.headers["authorization"] = ADMIN["authorization"]
    assert proxied.get("/openapi.json").json()["servers"] == [{"url": PREFIX}]
    problem = proxied.get("/v1/insurance/summary", params={"year_from": "x"}).json()
    assert problem["instance"] == f"{PREFIX}/v1/insurance/summary"


def test_a_page_token_is_valid_with_and_without_the_proxy(proxied: TestClient, client: TestClient) -> None:
    proxied.headers["authorization"] = ADMIN["authorization"]
    first = proxied.get("/v1/insurance/performance", params={"page_size": 1}).json()
    assert client.get(
        "/v1/insurance/performance", params={"page_size": 1, "page_token": first["next_page_token"]}
    ).json()["items"]


def test_every_route_that_can_be_read_answers_head(app: FastAPI, client: TestClient) -> None:
    read = [path for method, path in routes(app) if method == "GET" and path != ENDLESS]
    assert {"/healthz", "/readyz", "/metrics", "/"} <= set(read)
    different = {}
    for path in read:
        address = path.format_map(PARAMETERS | {"version": "x"})
        whole, head = client.get(address), client.head(address)
        if (head.status_code, head.content) != (whole.status_code, b""):
            different[path] = (whole.status_code, head.status_code, head.content)
    assert different == {}


def test_head_of_the_endless_stream_ends(client: TestClient) -> None:
    answer = client.head(ENDLESS)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")


def test_head_is_refused_where_nothing_can_be_read_and_counted_by_its_route(client: TestClient) -> None:
    assert client.head("/sign-out").status_code == 405
    client.head("/healthz")
    counted = re.findall(r'count\{method="HEAD",route="([^"]+)"', client.get("/metrics").text)
    assert "/healthz" in counted
