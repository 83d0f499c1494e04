"""Keys, scopes and sessions, checked over the whole route table to cover new routes."""

from __future__ import annotations

import datetime as dt
import os
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from quintet.settings import load_settings
from quintet.state.keys import create_key, revoke_key
from quintet.state.sessions import LASTS
from quintet.state.store import StateStore
from quintet.web.addresses import TrustedProxies
from quintet.web.app import create_app
from quintet.web.guesses import TURN_SECONDS, WRONG_KEYS
from quintet.web.problems import MEDIA_TYPE
from quintet.web.security import COOKIE
from tests.waiting import LONG_SECONDS, wait_until
from tests.web.routes import OPEN, PARAMETERS, routes
from tests.web.service import ADMIN_KEY, serving


def ask(client: TestClient, method: str, path: str, **options: Any) -> Any:
    return client.request(method, path.format_map(PARAMETERS), **options)


def key_for(app: FastAPI, *scopes: str) -> dict[str, str]:
    _, text = create_key(app.state.service.store, "test", scopes, dt.datetime.now(dt.UTC), os.urandom)
    return {"authorization": f"Bearer {text}"}


def test_every_route_but_health_and_sign_in_needs_a_key(app: FastAPI, anonymous: TestClient) -> None:
    guarded = [route for route in routes(app) if route not in OPEN]
    assert {("GET", "/v1/insurance/summary"), ("GET", "/insurance"), ("GET", "/metrics")} <= set(guarded)
    answers = {route: ask(anonymous, *route) for route in guarded}

    assert {route: answer.status_code for route, answer in answers.items() if answer.status_code != 401} == {}
    assert {answer.headers["content-type"] for answer in answers.values()} == {MEDIA_TYPE}
    assert {answer.headers["www-authenticate"] for answer in answers.values()} == {"Bearer"}


def test_a_route_without_a_guard_is_found(service_home: Path) -> None:
    other = create_app(load_settings({"QUINTET_HOME": str(service_home)}), code="tests")
    other.add_api_route("/v1/forgotten", lambda: "all of it")
    with TestClient(other) as client:
        unguarded = [route for route in routes(other) if route not in OPEN and ask(client, *route).status_code != 401]
    assert unguarded == [("GET", "/v1/forgotten")]


def test_every_route_refuses_a_key_of_another_scope(app: FastAPI, anonymous: TestClient) -> None:
    headers = key_for(app, "metrics:read")
    needs_no_scope = {"/docs", "/docs/", "/docs/{page}", "/openapi.json", "/", "/metrics"}
    needs_no_scope |= {"/pipeline", "/search", "/v1/search", "/reports/files/{name}"}
    guarded = [route for route in routes(app) if route not in OPEN and route[1] not in needs_no_scope]
    answers = {route: ask(anonymous, *route, headers=headers) for route in guarded}

    assert {route: answer.status_code for route, answer in answers.items() if answer.status_code != 403} == {}
    assert all("lacks the scope" in answer.json()["detail"] for answer in answers.values())


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/sign-in"])
def test_health_and_sign_in_need_no_key(anonymous: TestClient, path: str) -> None:
    assert anonymous.get(path).status_code == 200


@pytest.mark.parametrize("header", ["Bearer unknown", "Bearer", "Basic YTpi", "bearer  ", f"Token {ADMIN_KEY}"])
def test_an_unknown_key_is_refused(anonymous: TestClient, header: str) -> None:
    assert anonymous.get("/v1/insurance/summary", headers={"authorization": header}).status_code == 401


def test_a_revoked_key_is_refused_from_the_next_request_on(app: FastAPI, anonymous: TestClient) -> None:
    store, now = app.state.service.store, dt.datetime.now(dt.UTC)
    key, text = create_key(store, "test", ["insurance:read"], now, os.urandom)
    headers = {"authorization": f"Bearer {text}"}
    assert anonymous.get("/v1/insurance/summary", headers=headers).status_code == 200
    revoke_key(store, key.key_id, now)
    assert anonymous.get("/v1/insurance/summary", headers=headers).status_code == 401


def test_a_key_has_a_limit_of_requests_per_minute(service_home: Path) -> None:
    settings = {"QUINTET_HOME": str(service_home), "QUINTET_REQUESTS_PER_MINUTE": "3"}
    limited = create_app(load_settings(settings), code="tests")
    with TestClient(limited) as client:
        first, second = key_for(limited, "insurance:read"), key_for(limited, "insurance:read")
        statuses = [client.get("/v1/insurance/summary", headers=first).status_code for _ in range(5)]
        answer = client.get("/v1/insurance/summary", headers=first)
        assert statuses == [200, 200, 200, 429, 429]
        assert answer.headers["content-type"] == MEDIA_TYPE
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert client.get("/v1/insurance/summary", headers=second).status_code == 200


# -- the browser's session ---------------------------------------------------------------------------------------------


def sign_in(client: TestClient, key: str, next_page: str = "/insurance", **headers: str) -> Any:
    return client.post("/sign-in", data={"key": key, "next_page": next_page}, headers=headers, follow_redirects=False)


def test_signing_in_sets_a_cookie_that_scripts_cannot_read(anonymous: TestClient) -> None:
    answer = sign_in(anonymous, ADMIN_KEY)

    assert (answer.status_code, answer.headers["location"]) == (303, "/insurance")
    cookie = answer.headers["set-cookie"].lower()
    assert all(part in cookie for part in (COOKIE, "httponly", "samesite=lax", "path=/", "max-age=43200"))
    assert ADMIN_KEY not in cookie
    assert anonymous.get("/insurance").status_code == 200


def test_a_wrong_key_gets_the_form_again_and_no_cookie(anonymous: TestClient) -> None:
    answer = sign_in(anonymous, "wrong")

    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert "This key is unknown" in answer.text


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "evil"])
def test_signing_in_never_redirects_to_another_site(anonymous: TestClient, elsewhere: str) -> None:
    assert sign_in(anonymous, ADMIN_KEY, elsewhere).headers["location"] == "/"


def test_signing_out_ends_the_session(anonymous: TestClient) -> None:
    sign_in(anonymous, ADMIN_KEY)
    cookie = anonymous.cookies[COOKIE]
    anonymous.post("/sign-out")

    assert anonymous.get("/insurance").status_code == 401
    assert anonymous.get("/insurance", headers={"cookie": f"{COOKIE}={cookie}"}).status_code == 401


def test_a_session_expires(service_home: Path) -> None:
    now = dt.datetime.now(dt.UTC)
    times = [now]
    settings = load_settings({"QUINTET_HOME": str(service_home), "QUINTET_ADMIN_KEY": ADMIN_KEY})
    with TestClient(create_app(settings, "tests", clock=lambda: times[-1])) as client:
        sign_in(client, ADMIN_KEY)
        cookie = {"cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
        assert client.get("/insurance", headers=cookie).status_code == 200
        times.append(now + LASTS)
        assert client.get("/insurance", headers=cookie).status_code == 401


@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}]
)
def test_a_page_of_another_site_cannot_change_anything(anonymous: TestClient, headers: dict[str, str]) -> None:
    assert sign_in(anonymous, ADMIN_KEY, **headers).status_code == 403
    assert anonymous.post("/sign-out", headers=headers).status_code == 403


def _guess(client: TestClient, way: str, key: str) -> int:
    if way == "sign-in":
        return int(sign_in(client, key).status_code)
    return client.get("/docs", headers={"authorization": f"Bearer {key}"}).status_code


@pytest.mark.parametrize(("way", "let_in"), [("sign-in", 303), ("bearer", 200)])
def test_guesses_are_limited_and_the_right_key_is_never_locked_out(service_home: Path, way: str, let_in: int) -> None:
    settings = load_settings({"QUINTET_HOME": str(service_home), "QUINTET_ADMIN_KEY": ADMIN_KEY})
    app = create_app(settings, code="tests")
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    app.state.gate.guesses._sleep = sleep
    with TestClient(app) as client:
        made = key_for(app, "insurance:read")["authorization"].removeprefix("Bearer ")
        statuses = [_guess(client, way, f"guess {number}") for number in range(WRONG_KEYS + 1)]
        client.cookies.clear()
        assert statuses == [401] * WRONG_KEYS + [429]
        assert _guess(client, way, made) == let_in
        assert _guess(client, way, ADMIN_KEY) == let_in
    assert slept == [TURN_SECONDS] * 2  # the last guess and the right key waited for their turn


def test_guesses_by_header_and_at_the_sign_in_are_counted_together(service_home: Path) -> None:
    settings = load_settings({"QUINTET_HOME": str(service_home)})
    with TestClient(create_app(settings, code="tests")) as client:
        ways = ["sign-in", "bearer"] * WRONG_KEYS
        statuses = [_guess(client, way, f"guess {number}") for number, way in enumerate(ways)]
    assert statuses == [401] * WRONG_KEYS + [429] * WRONG_KEYS


def test_a_new_admin_key_ends_the_sessions_of_the_former_one(service_home: Path) -> None:
    statuses = []
    cookie: dict[str, str] = {}
    for admin_key in (ADMIN_KEY, "another admin key", ADMIN_KEY):
        settings = load_settings({"QUINTET_HOME": str(service_home), "QUINTET_ADMIN_KEY": admin_key})
        with TestClient(create_app(settings, code="tests")) as client:
            if not cookie:
                sign_in(client, admin_key)
                cookie = {"cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
            statuses.append(client.get("/insurance", headers=cookie).status_code)
    assert statuses == [200, 401, 200]


def test_the_overview_shows_only_what_the_key_may_read(app: FastAPI, anonymous: TestClient) -> None:
    page = anonymous.get("/", headers=key_for(app, "insurance:read")).text
    assert "Written premium" in page
    assert "agency_performance_1.csv" in page or "agency_performance" in page
    for other in ("transactions", "promo_users", "broker_rows", "Promotions</a>", "matched"):
        assert other not in page.partition("<main")[2], other
    nothing = anonymous.get("/", headers=key_for(app, "metrics:read"))
    assert nothing.status_code == 200
    assert "This key reads none of the businesses" in nothing.text
    everything = anonymous.get("/", headers={"authorization": f"Bearer {ADMIN_KEY}"}).text
    assert all(other in everything for other in ("transactions", "promo_users", "Written premium"))


def test_many_users_behind_one_address_sign_in_within_a_minute(service_home: Path) -> None:
    settings = load_settings({"QUINTET_HOME": str(service_home), "QUINTET_ADMIN_KEY": ADMIN_KEY})
    with TestClient(create_app(settings, code="tests")) as client:
        assert {sign_in(client, ADMIN_KEY).status_code for _ in range(60)} == {303}


def test_a_browser_without_a_session_is_redirected_to_the_sign_in_and_back(anonymous: TestClient) -> None:
    answer = anonymous.get("/insurance?year_from=2010", headers={"accept": "text/html"})

    assert answer.url.path == "/sign-in"
    assert answer.status_code == 200
    assert 'value="/insurance?year_from=2010"' in answer.text


def test_a_stream_ends_when_its_key_is_revoked_or_its_session_closed(own_home: Path) -> None:
    with serving(own_home, own_home / "log") as server, httpx.Client(base_url=server.url) as client:
        store = StateStore(own_home / "online")
        key, text = create_key(store, "test", ["payments:read"], dt.datetime.now(dt.UTC), os.urandom)
        client.post("/sign-in", data={"key": text})
        by_key = httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {text}"})
        for listener, end in ((client, lambda: client.post("/sign-out")), (by_key, lambda: revoke(store, key.key_id))):
            with listener.stream("GET", "/v1/payments/stream", timeout=LONG_SECONDS) as answer:
                assert answer.status_code == 200
                pieces = answer.iter_text()
                assert "listening" in next(pieces)
                end()
                assert all(piece is not None for piece in pieces)  # it ends
        by_key.close()
        store.close()


def revoke(store: StateStore, key_id: str) -> None:
    revoke_key(store, key_id, dt.datetime.now(dt.UTC))


@pytest.mark.parametrize(
    ("trusted", "seen"), [("", "127.0.0.1"), ("127.0.0.1", "192.0.2.7"), ("10.0.0.0/8", "127.0.0.1")]
)
def test_a_forwarded_address_is_believed_from_a_trusted_proxy_only(trusted: str, seen: str) -> None:
    hosts: list[str] = []

    async def app(scope: Any, _: Any, send: Any) -> None:
        hosts.append(scope["client"][0])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    config = uvicorn.Config(
        TrustedProxies(app, trusted), port=0, lifespan="off", log_level="critical", proxy_headers=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    httpx.get(f"http://127.0.0.1:{port}/", headers={"x-forwarded-for": "203.0.113.9, 192.0.2.7"})
    server.should_exit = True
    thread.join(LONG_SECONDS)
    assert hosts == [seen]
