"""Fixtures for the service: in this process for its answers, in its own process for a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from quintet.lending.online import OnlineFeatures
from quintet.web.rendering import static_files
from tests.folders import alone, shared_folder
from tests.machine import require_program
from tests.unit.lending.models import scorecard
from tests.waiting import LONG_SECONDS
from tests.web import lending_decisions
from tests.web.browser import Visit
from tests.web.service import ADMIN, Server, build_app, open_cases, serving


@pytest.fixture(scope="session")
def drawing_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache folder of the chart bundle, which takes seconds to build."""
    folder = shared_folder(tmp_path_factory) / "drawing"
    with alone(folder) as is_built:
        if not is_built:
            static_files(folder)
    return folder


@pytest.fixture(scope="session")
def service_home(built_home: Path, drawing_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the committed samples' snapshots and its own state store."""
    home = tmp_path_factory.mktemp("service")
    (home / "serving").symlink_to(built_home / "serving")
    (home / "cache").symlink_to(drawing_cache)
    return home


@pytest.fixture
def own_home(drawing_cache: Path, tmp_path: Path) -> Path:
    """An empty home for one test, without a snapshot."""
    (tmp_path / "cache").symlink_to(drawing_cache)
    return tmp_path


@pytest.fixture(scope="session")
def app(service_home: Path) -> FastAPI:
    return build_app(service_home)


@pytest.fixture(scope="session")
def client(app: FastAPI) -> Iterator[TestClient]:
    """A client with the admin key; errors of the service are answered, not raised."""
    with TestClient(app, headers=ADMIN, raise_server_exceptions=False) as client:
        open_cases(app)
        yield client


@pytest.fixture
def anonymous(app: FastAPI, client: TestClient) -> TestClient:  # noqa: ARG001  # the client starts the app
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture(scope="session")
def server(service_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(service_home, tmp_path_factory.mktemp("server") / "log") as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the tests of a module; while it runs, no test can start an event loop."""
    expect.set_options(timeout=LONG_SECONDS * 1_000)
    chromium = require_program("chromium")
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=[*quiet, "--disable-sync", "--no-first-run", "--disable-quic"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def signed_in(browser: Browser, server: Server) -> Iterator[BrowserContext]:
    """A browser that is signed in, shared by the tests of a module, which load scripts and charts once."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    Visit(context, server).sign_in("/reports")
    yield context
    context.close()


@pytest.fixture
def visit(signed_in: BrowserContext, server: Server) -> Iterator[Visit]:
    """A page of the signed-in browser; the test fails if it logged an error or requested from another host."""
    visit = Visit(signed_in, server)
    yield visit
    visit.page.close()
    assert visit.faults == []
    assert visit.outside == []


@pytest.fixture
def online(own_home: Path) -> Iterator[OnlineFeatures]:
    """The features of clients 7 and 8 from a loan book's stream."""
    with lending_decisions.client_features(own_home) as found:
        yield found


@pytest.fixture
def lending(own_home: Path, online: OnlineFeatures) -> Iterator[TestClient]:  # noqa: ARG001  # it fills the home
    """A service that decides applications of clients 7 and 8."""
    lending_decisions.keep(own_home, scorecard())
    with lending_decisions.serving(own_home) as client:
        yield client
