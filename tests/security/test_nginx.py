"""Behind nginx with the shipped configuration: TLS, pages and API below one path, Dagster's UI below another."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import websockets

from quintet.embedded.processes import free_port
from tests.conftest import Quintet
from tests.security.certificates import make_authority
from tests.security.dagster_ui import Ui, running_ui
from tests.security.nginx import Proxy, running_nginx
from tests.waiting import LONG_SECONDS
from tests.web.crawler import crawl
from tests.web.service import ADMIN, ADMIN_KEY, serving

_PAGES, _DAGSTER = "/quintet", "/dagster"
_BROWSER = {"accept": "text/html"}


@pytest.fixture(scope="module")
def ports() -> tuple[int, int]:
    """Return the ports of nginx and of Dagster's UI, which have to know each other."""
    return free_port(), free_port()


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory, ports: tuple[int, int]) -> Iterator[Ui]:
    """Yield Dagster's UI over an empty home, for people who open it through nginx."""
    folder = tmp_path_factory.mktemp("ui")
    (folder / "raw").mkdir()
    public = f"https://127.0.0.1:{ports[0]}{_DAGSTER}"
    with running_ui(Quintet(folder / "raw", folder / "home"), ports[1], QUINTET_DAGSTER_URL=public) as found:
        yield found


@pytest.fixture(scope="module")
def proxy(service_home: Path, tmp_path_factory: pytest.TempPathFactory, ports: tuple[int, int]) -> Iterator[Proxy]:
    """Yield nginx in front of a service over the samples."""
    authority = make_authority(tmp_path_factory.mktemp("authority"), "IP:127.0.0.1")
    log = tmp_path_factory.mktemp("service") / "log"
    with serving(service_home, log, QUINTET_TRUSTED_PROXIES="127.0.0.1") as service:
        pages = int(service.url.rpartition(":")[2])
        with running_nginx(tmp_path_factory.mktemp("nginx"), authority, ports[0], pages, ports[1]) as found:
            yield found


@pytest.fixture
def reader(proxy: Proxy) -> Iterator[httpx.Client]:
    """Yield a client with the cookie that signing in has set."""
    with proxy.client() as client:
        asked = client.get(f"{_PAGES}/", headers=_BROWSER)
        assert asked.headers["location"] == f"{_PAGES}/sign-in?next=%2F"
        entered = client.post(
            f"{_PAGES}/sign-in",
            data={"key": ADMIN_KEY, "next_page": "/insurance"},
            headers={"origin": proxy.url, "sec-fetch-site": "same-origin"},
        )
        assert (entered.status_code, entered.headers["location"]) == (303, f"{_PAGES}/insurance")
        assert f"Path={_PAGES};" in entered.headers["set-cookie"]
        assert "Secure" in entered.headers["set-cookie"]
        yield client


def test_every_address_of_the_pages_answers_through_the_proxy(reader: httpx.Client) -> None:
    found = crawl(reader, _PAGES)
    assert found.outside == []
    assert found.failures == {}
    assert f"{_PAGES}/payments" in found.statuses
    downloads = [address for address in found.statuses if ".csv" in address]
    assert len(downloads) > 10


def test_signing_out_ends_the_session(reader: httpx.Client, proxy: Proxy) -> None:
    cookie = reader.cookies["quintet_session"]
    left = reader.post(f"{_PAGES}/sign-out", headers={"origin": proxy.url})
    assert left.headers["location"] == f"{_PAGES}/sign-in"
    assert "quintet_session" not in reader.cookies
    again = reader.get(f"{_PAGES}/insurance", headers=_BROWSER | {"cookie": f"quintet_session={cookie}"})
    assert again.status_code == 303


def test_a_page_of_another_site_changes_nothing(reader: httpx.Client) -> None:
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert reader.post(f"{_PAGES}/sign-out", headers=headers).status_code == 403


def test_plain_http_a_missing_slash_and_a_last_slash_are_redirected(proxy: Proxy) -> None:
    plain = httpx.get(f"http://127.0.0.1:{proxy.plain_port}{_PAGES}/insurance?a=b")
    assert (plain.status_code, plain.headers["location"]) == (301, f"https://127.0.0.1{_PAGES}/insurance?a=b")
    with proxy.client() as client:
        assert client.get(_PAGES).headers["location"] == f"{_PAGES}/"
        assert client.get(f"{_PAGES}/insurance/").headers["location"] == f"{_PAGES}/insurance"


def test_programs_post_and_look_at_health_with_head(proxy: Proxy) -> None:
    with proxy.client() as client:
        for path in ("healthz", "readyz"):
            head = client.head(f"{_PAGES}/{path}")
            assert (head.status_code, head.content) == (200, b"")
        given = {"minute_at": "2024-01-01T12:00:00Z", "status": "approved", "count": 100}
        posted = client.post(f"{_PAGES}/v1/payments/transactions", json=given, headers=ADMIN)
        assert (posted.status_code, "recommendation" in posted.text) == (200, True), posted.text
        assert client.post(f"{_PAGES}/v1/payments/transactions", json=given).status_code == 401
        assert client.get(f"{_PAGES}/openapi.json", headers=ADMIN).json()["servers"] == [{"url": _PAGES}]


def test_events_arrive_one_by_one(proxy: Proxy) -> None:
    with (
        proxy.client() as client,
        client.stream("GET", f"{_PAGES}/v1/payments/stream", headers=ADMIN) as stream,
    ):
        assert stream.headers["content-type"].startswith("text/event-stream")
        pieces = stream.iter_text()
        assert "listening" in next(pieces)  # a proxy that waits for a full buffer never passes it on
        given = [
            {"minute_at": f"2024-01-01T13:{minute:02d}:00Z", "status": "approved", "count": 100} for minute in range(5)
        ]
        with proxy.client() as other:
            assert other.post(f"{_PAGES}/v1/payments/transactions", json=given, headers=ADMIN).status_code == 200
        assert any("event: minute" in piece for piece in pieces)


def test_no_client_can_send_the_headers_of_the_proxy(reader: httpx.Client) -> None:
    forged = {"x-forwarded-prefix": "/evil", "x-forwarded-proto": "http", "x-forwarded-for": "203.0.113.9"}
    left = reader.post(f"{_PAGES}/sign-out", headers=forged)
    assert left.headers["location"] == f"{_PAGES}/sign-in"


def test_dagster_answers_below_its_path_to_its_link_only(proxy: Proxy, ui: Ui) -> None:
    with proxy.client() as client:
        assert client.get(f"{_DAGSTER}/").status_code == 403
        entered = client.get(f"{_DAGSTER}/?token={ui.token}")
        assert (entered.status_code, entered.headers["location"]) == (303, f"{_DAGSTER}/")
        assert f"Path={_DAGSTER};" in entered.headers["set-cookie"]
        assert "Secure" in entered.headers["set-cookie"]

        found = crawl(client, _DAGSTER)
        assert found.outside == []
        assert found.failures == {}
        assert len(found.statuses) > 3

        own = {"origin": proxy.url, "content-type": "application/json"}
        query = json.dumps({"query": "{ version }"})
        assert client.post(f"{_DAGSTER}/graphql", content=query, headers=own).status_code == 200
        for origin in ("https://evil.example", f"http://127.0.0.1:{proxy.port}"):
            refused = client.post(f"{_DAGSTER}/graphql", content=query, headers=own | {"origin": origin})
            assert refused.status_code == 403
        assert client.get(f"{_DAGSTER}/", headers={"host": "evil.example"}).status_code == 421
        asyncio.run(_listen(proxy, dict(client.cookies)))


async def _listen(proxy: Proxy, cookies: dict[str, str]) -> None:
    headers = {"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    address = f"wss://127.0.0.1:{proxy.port}{_DAGSTER}/graphql"
    async with websockets.connect(
        address,
        ssl=proxy.context,
        origin=websockets.Origin(proxy.url),
        additional_headers=headers,
        subprotocols=[websockets.Subprotocol("graphql-ws")],
        open_timeout=LONG_SECONDS,
    ) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {}}))
        assert json.loads(await asyncio.wait_for(socket.recv(), LONG_SECONDS))["type"] == "connection_ack"
