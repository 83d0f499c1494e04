"""The payments page in real Chromium: live charts and texts, pause, keyboard, no error."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.web.browser import Visit, wait_for_charts
from tests.web.service import Server, serving


@cache
def now() -> dt.datetime:
    """Return the minute in which the first of these tests began."""
    return dt.datetime.now(dt.UTC).replace(second=0, microsecond=0)


def send(server: Server, age_minutes: int, **counts: int) -> None:
    """Send a minute of that age, with usual counts by default."""
    at = (now() - dt.timedelta(minutes=age_minutes)).isoformat()
    usual = {"approved": 100, "denied": 10} | counts
    items = [{"minute_at": at, "status": status, "count": count} for status, count in usual.items()]
    headers = {"authorization": f"Bearer {server.key}"}
    httpx.post(f"{server.url}/v1/payments/transactions", json=items, headers=headers).raise_for_status()


@pytest.fixture(scope="module")
def server(built_home: Path, drawing_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service for these tests alone: later items of other tests would disturb them."""
    home = tmp_path_factory.mktemp("paying")
    (home / "serving").symlink_to(built_home / "serving")
    (home / "cache").symlink_to(drawing_cache)
    with serving(home, tmp_path_factory.mktemp("server") / "log") as server:
        yield server


@pytest.fixture(scope="module")
def paying(server: Server) -> Server:
    """The service with an hour of payments up to twenty minutes ago."""
    for age in range(80, 20, -1):
        send(server, age)
    return server


def last_minute(page: Page, series: str) -> Any:
    return page.locator(f"#series-{series}").get_attribute("data-last")


def test_a_burst_reaches_chart_words_and_the_announcer_without_a_reload(paying: Server, visit: Visit) -> None:
    page = visit.open("/payments?day=live")
    wait_for_charts(page)
    expect(page.locator(".verdict")).not_to_contain_text("denied")
    page.evaluate("window.notReloaded = true")
    send(paying, 20, denied=70)

    expect(page.locator("#series-denied")).to_have_attribute(
        "data-last", str(int((now() - dt.timedelta(minutes=20)).timestamp() * 1000))
    )
    expect(page.locator(".verdict")).to_contain_text("denied")
    expect(page.locator("#announcer")).to_contain_text("denied is anomalous")
    expect(page.locator("#incidents tbody tr").first).to_contain_text("critical, firing")
    assert page.evaluate("window.notReloaded")


def test_a_paused_page_does_not_move_until_it_resumes(paying: Server, visit: Visit) -> None:
    page = visit.open("/payments?day=live")
    wait_for_charts(page)
    page.get_by_role("button", name="Pause").click()
    before = last_minute(page, "denied")
    send(paying, 19)
    page.wait_for_timeout(1_000)

    assert last_minute(page, "denied") == before
    page.get_by_role("button", name="Resume").click()
    expected = str(int((now() - dt.timedelta(minutes=19)).timestamp() * 1000))
    expect(page.locator("#series-denied")).to_have_attribute("data-last", expected)


def test_an_incident_is_acknowledged_by_keyboard(paying: Server, visit: Visit) -> None:  # noqa: ARG001
    page = visit.open("/payments?day=live")
    page.get_by_role("button", name="Acknowledge denied").focus()
    page.keyboard.press("Enter")

    expect(page.locator("#incidents tbody tr").first).to_contain_text("QUINTET_ADMIN_KEY")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
@pytest.mark.parametrize("path", ["/payments?day=live", "/payments?day=2024-01-01"])
def test_the_page_passes_the_accessibility_rules(
    paying: Server,  # noqa: ARG001
    visit: Visit,
    path: str,
    scheme: Any,
    width: int,
) -> None:
    visit.page.set_viewport_size({"width": width, "height": 900})
    visit.page.emulate_media(color_scheme=scheme)
    page = visit.open(path)
    wait_for_charts(page)
    found = Axe().run(page).response["violations"]
    overflows = page.evaluate("document.documentElement.scrollWidth > innerWidth")

    assert [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found] == []
    assert not overflows
