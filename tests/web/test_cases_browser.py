"""A day of each of the five people in real Chromium: the queue, the evidence, the verdict, and what it did."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.waiting import wait_until
from tests.web.browser import Visit, wait_for_charts
from tests.web.service import Server, serving

PERSONS = {
    "underwriter": ("lending", "a", "income is proven"),
    "fraud analyst": ("promotions", "r", "one ring"),
    "affiliate manager": ("conversions", "a", ""),
    "on-call engineer": ("payments", "e", "a bank holiday"),
}


@pytest.fixture(scope="module")
def server(built_home: Path, drawing_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service for these tests alone, once it has opened the cases of the samples."""
    home = tmp_path_factory.mktemp("reviewing")
    (home / "serving").symlink_to(built_home / "serving")
    (home / "cache").symlink_to(drawing_cache)
    with serving(home, tmp_path_factory.mktemp("server") / "log") as server:
        wait_until(lambda: all(cases(server, domain) for domain, _, _ in PERSONS.values()))
        yield server


def cases(server: Server, domain: str, state: str = "waiting") -> list[dict[str, str]]:
    answer = httpx.get(
        f"{server.url}/v1/cases",
        params={"domain": domain, "state": state, "page_size": 1_000},
        headers={"authorization": f"Bearer {server.key}"},
    )
    found: list[dict[str, str]] = answer.raise_for_status().json()["items"]
    return found


def has_no_sideways_scroll(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


@pytest.mark.parametrize("person", PERSONS)
def test_a_day_of_a_reviewer_by_keyboard(server: Server, visit: Visit, person: str) -> None:
    domain, key, reason = PERSONS[person]
    before = cases(server, domain)
    page = visit.open(f"/cases?domain={domain}")
    expect(page.get_by_role("link", name=re.compile("Cases .*waiting"))).to_be_visible()
    page.keyboard.press("j")
    expect(page.locator("a[data-case]").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/cases/{before[0]['case_id']}\\?domain={domain}"))
    assert page.get_by_role("heading", level=1).inner_text() == before[0]["title"]
    wait_for_charts(page)
    page.keyboard.press("n")
    expect(page.locator("#note")).to_be_focused()
    page.locator("#note").fill("looked at it")
    page.get_by_role("button", name="Add note").click()
    expect(page.locator(".history")).to_contain_text("looked at it")
    if reason:
        page.locator("#reason").fill(reason)
        page.locator("#reason").blur()
    page.keyboard.press(key)
    expect(page).not_to_have_url(re.compile(before[0]["case_id"]))
    after = cases(server, domain)
    assert before[0]["case_id"] not in {one["case_id"] for one in after}
    if after:
        expect(page.get_by_role("heading", level=1)).to_have_text(after[0]["title"])
    page = visit.open(f"/cases/{before[0]['case_id']}")
    expect(page.locator(".history")).to_contain_text("decided")


def test_a_verdict_that_needs_a_reason_asks_for_it(server: Server, visit: Visit) -> None:
    case = cases(server, "lending")[0]
    page = visit.open(f"/cases/{case['case_id']}")
    page.keyboard.press("r")
    expect(page.locator("#reason")).to_be_focused()
    expect(page.locator("#announcer")).to_have_text("Reject needs a reason")
    assert case["case_id"] in {one["case_id"] for one in cases(server, "lending")}


def test_the_whole_cluster_is_decided_at_once(server: Server, visit: Visit) -> None:
    grouped = [one for one in cases(server, "promotions") if one["group_id"]]
    sizes = {one["group_id"]: sum(two["group_id"] == one["group_id"] for two in grouped) for one in grouped}
    case = next(one for one in grouped if sizes[one["group_id"]] > 1)
    page = visit.open(f"/cases/{case['case_id']}?domain=promotions")
    page.get_by_role("button", name=f"Select all {sizes[case['group_id']]}").click()
    page.get_by_role("button", name="Confirm abuse").click()
    page.wait_for_url(re.compile(r"/cases"))
    assert case["group_id"] not in {one["group_id"] for one in cases(server, "promotions")}


def test_the_insurance_manager_finds_what_needs_a_person_and_that_none_of_it_is_insurance(visit: Visit) -> None:
    page = visit.open("/")
    expect(page.locator("#waiting-title + ul")).to_contain_text("to decide")
    page = visit.open("/insurance")
    expect(page.get_by_role("heading", level=1)).to_have_text("Insurance")
    page = visit.open("/cases?domain=insurance")
    expect(page.locator(".empty-title")).to_have_text("No case")
    page = visit.open("/cases?domain=banking")
    expect(page.locator(".field-problem")).to_contain_text("Business is 'banking'; choose one of the list")


def test_on_a_phone_nothing_scrolls_sideways_and_both_pages_are_accessible(
    server: Server, signed_in: BrowserContext
) -> None:
    visit = Visit(signed_in, server)
    visit.page.set_viewport_size({"width": 390, "height": 844})
    addresses = ["/cases", *(f"/cases/{cases(server, domain)[0]['case_id']}" for domain, _, _ in PERSONS.values())]
    for address in addresses:
        page = visit.open(address)
        assert has_no_sideways_scroll(page), address
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    visit.page.evaluate("document.body.style.width = '900px'")
    assert not has_no_sideways_scroll(visit.page), "the check finds a page that scrolls"
    visit.page.close()


def test_without_javascript_the_forms_work(browser: Browser, server: Server) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = Visit(context, server).sign_in("/cases?domain=conversions")
    page.locator("a[data-case]").first.click()
    title = page.get_by_role("heading", level=1).inner_text()
    page.get_by_role("button", name="Take it").click()
    expect(page.locator(".history")).to_contain_text("assigned it to")
    page.get_by_role("button", name="Same person").click()
    expect(page.get_by_role("heading", level=1)).not_to_have_text(title)
    context.close()
