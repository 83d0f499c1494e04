"""The insurance pages in real Chromium: charts, filters, report, keyboard, no error and no request to other hosts."""

from __future__ import annotations

import datetime as dt
from typing import Any

import httpx
import openpyxl
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, expect

from tests.web.browser import RULES, Visit, wait_for_charts
from tests.web.service import ADMIN, Server

MOST_COMPRESSED_BYTES = 600_000


def test_a_page_is_shown_after_signing_in_and_not_before(browser: Browser, server: Server) -> None:
    context = browser.new_context()
    visit = Visit(context, server)
    visit.open("/insurance")
    assert "/insurance" not in visit.page.url.partition("?")[0]
    expect(visit.sign_in("/insurance").locator("h1")).to_be_visible()
    context.close()

    assert visit.faults == []
    assert visit.outside == []


@pytest.mark.parametrize(
    ("path", "fewest"), [("/insurance", 3), ("/insurance?tab=agencies", 4), ("/conversions?tab=pages", 4)]
)
def test_every_chart_of_the_page_is_drawn(visit: Visit, path: str, fewest: int) -> None:
    page = visit.open(path)

    assert wait_for_charts(page) >= fewest
    expect(page.locator(".skeleton:visible")).to_have_count(0)


def test_a_filter_changes_the_address_and_the_figures_and_back_undoes_it(visit: Visit) -> None:
    page = visit.open("/insurance")
    premium = page.locator(".kpi-value").first
    before = premium.inner_text()

    page.get_by_label("Line", exact=True).select_option("CL")
    page.wait_for_url("**/insurance?prod_line=CL")
    expect(premium).not_to_have_text(before)
    expected = httpx.get(
        f"{visit.server.url}/v1/insurance/summary?prod_line=CL&group_by=year&page_size=1000", headers=ADMIN
    ).json()["items"]
    last = [row for row in expected if not row["short_years"]][-1]
    assert f"{last['written_premium']:,.0f}" in str(premium.get_attribute("title"))

    page.go_back()
    expect(premium).to_have_text(before)
    expect(page.get_by_label("Line", exact=True)).to_have_value("")


def test_a_report_is_previewed_downloaded_and_listed_in_the_history(visit: Visit, tmp_path: Any) -> None:
    page = visit.open("/reports")
    page.get_by_label("From year").select_option("2010")
    page.get_by_label("To year").select_option("2012")
    page.wait_for_url("**/reports?year_from=2010&year_to=2012")
    with page.expect_download() as started:
        page.get_by_role("link", name="workbook").click()
    file = tmp_path / "report.xlsx"
    started.value.save_as(file)

    (total,) = httpx.get(f"{visit.server.url}/v1/insurance/summary?year_from=2010&year_to=2012", headers=ADMIN).json()[
        "items"
    ]
    numbers = {
        round(100 * cell.value)
        for sheet in openpyxl.load_workbook(file)
        for row in sheet.iter_rows()
        for cell in row
        if isinstance(cell.value, int | float)
    }
    assert round(100 * total["written_premium"]) in numbers
    page.reload()
    expect(page.get_by_text("year_from 2010; year_to 2012").first).to_be_visible()


def test_an_agency_opens_from_the_table_and_leads_back(visit: Visit) -> None:
    page = visit.open("/insurance?prod_line=CL")
    page.locator("#agencies-table-title").scroll_into_view_if_needed()
    page.locator(".table-section table a").first.click()
    page.wait_for_url("**/insurance/agencies/*")
    assert wait_for_charts(page) >= 1
    page.locator(".back a").click()
    page.wait_for_url("**/insurance?prod_line=CL")


def test_the_threshold_moves_the_charts_and_shows_its_precision(visit: Visit) -> None:
    page = visit.open("/promotions?tab=certainty")
    wait_for_charts(page)
    slider, words = page.get_by_role("slider", name="Threshold"), page.locator(".threshold-words")
    rule = page.locator("#score-histogram .mark-rule line").last
    before, place = words.inner_text(), rule.get_attribute("transform")
    slider.fill("0.9")

    expect(words).not_to_have_text(before)
    expect(words).to_contain_text("From 0.90 on")
    expect(rule).not_to_have_attribute("transform", str(place))
    slider.blur()
    page.wait_for_url("**threshold=0.9*")
    page.reload()
    expect(words).to_contain_text("From 0.90 on")


def test_a_cluster_is_chosen_drawn_and_its_account_confirmed(visit: Visit) -> None:
    page = visit.open("/promotions")
    page.locator(".table-section", has=page.locator("#clusters-title")).locator("table a").first.click()
    page.wait_for_url("**/promotions?cluster=*")
    page.locator("#cluster-graph").scroll_into_view_if_needed()
    expect(page.locator("#cluster-graph svg.marks")).to_have_count(1)
    account = page.locator(".table-section", has=page.locator("#members-title")).locator("tbody td").first.inner_text()
    page.get_by_label("User", exact=True).first.fill(account)
    page.get_by_label("User", exact=True).first.press("Enter")
    page.wait_for_url("**user=*")
    expect(page.locator(".to-judge li").first).to_contain_text(account)
    page.get_by_role("button", name="Clear").or_(page.get_by_role("button", name="Confirm abuse")).first.click()
    page.wait_for_url("**#to-judge")
    expect(page.locator(".table-section", has=page.locator("#labels-title"))).to_contain_text(account)


def test_a_sign_up_is_tried_on_the_page(visit: Visit) -> None:
    page = visit.open("/promotions?tab=try")
    page.locator("#try-email").fill("ana@example.com")
    page.locator("#try-promo_code").fill("7618")
    page.get_by_role("button", name="Judge").click()
    page.wait_for_url("**/promotions/try")
    expect(page.locator("#verdict-title")).to_contain_text("score")


def test_the_documentation_of_the_api_passes_the_accessibility_rules(visit: Visit) -> None:
    page = visit.open("/docs")
    found = Axe().run(page, context={"exclude": [["#swagger"]]}, options=RULES).response["violations"]

    assert [(rule["id"], rule["nodes"][0]["html"][:200]) for rule in found] == []


def test_moments_are_in_the_readers_zone_with_utc_in_the_title(browser: Browser, server: Server) -> None:
    context = browser.new_context(timezone_id="Asia/Kolkata")
    page = Visit(context, server).sign_in("/")
    table = page.locator("#batches-title").locator("xpath=ancestor::section")
    expect(table.locator("thead th").first).to_contain_text("GMT+5:30")
    time = table.locator("tbody time").first
    utc = dt.datetime.fromisoformat(str(time.get_attribute("datetime")))
    assert time.inner_text() == f"{utc + dt.timedelta(hours=5, minutes=30):%Y-%m-%d %H:%M}"
    assert time.get_attribute("title") == f"{utc:%Y-%m-%d %H:%M} UTC"
    context.close()


def test_the_order_of_a_table_is_in_the_address_and_can_be_shared(visit: Visit) -> None:
    page = visit.open("/insurance?year_from=2010")
    heading = page.locator("#agencies-table-title").locator("xpath=ancestor::section").locator("thead th").nth(2)
    heading.get_by_role("button").click()
    heading.get_by_role("button").click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    assert "sort=agencies-table-title.2.ascending" in page.url

    page.goto(page.url)
    expect(heading).to_have_attribute("aria-sort", "ascending")
    page.get_by_label("To year").select_option("2012")
    page.wait_for_url("**year_to=2012*")
    assert "sort=agencies-table-title.2.ascending" in page.url


def test_a_view_is_saved_opened_and_deleted(visit: Visit) -> None:
    page = visit.open("/insurance?prod_line=CL")
    page.locator(".views > summary").click()
    page.get_by_label("Name of this view").fill("Commercial")
    page.get_by_role("button", name="Save").click()
    visit.open("/insurance")
    page.locator(".views > summary").click()
    page.get_by_role("link", name="Commercial", exact=True).click()
    page.wait_for_url("**/insurance?prod_line=CL")
    page.locator(".views > summary").click()
    page.get_by_role("button", name="Delete the view Commercial").click()

    expect(page.get_by_role("link", name="Commercial", exact=True)).to_have_count(0)


def test_a_table_that_is_wider_than_its_place_says_so(visit: Visit) -> None:
    page = visit.open("/insurance")
    note = page.locator("#agencies-table-title").locator("xpath=ancestor::section").locator(".scroll-note")
    page.set_viewport_size({"width": 390, "height": 844})
    expect(note).to_have_count(1)
    page.set_viewport_size({"width": 2_400, "height": 844})
    notes = page.locator(".scroll-note").filter(visible=True)
    wide = page.evaluate(
        "[...document.querySelectorAll('.table-scroll')]"
        ".filter((one) => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1).length"
    )
    expect(notes).to_have_count(wide)


def test_a_click_on_a_bar_filters_to_its_year(visit: Visit) -> None:
    page = visit.open("/insurance")
    wait_for_charts(page)
    page.locator("#premium-by-year-and-line .mark-rect path").nth(4).click()
    page.wait_for_url("**year_from=*year_to=*")

    year = page.url.partition("year_from=")[2][:4]
    assert page.url.endswith(f"year_from={year}&year_to={year}")


def test_the_page_can_be_used_by_keyboard_alone(visit: Visit) -> None:
    page = visit.open("/insurance")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to content")
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.id || document.activeElement.textContent.trim().slice(0, 40)")
        )
    assert {"filter-prod_line", "filter-year_from", "Reset"} <= reached


def test_the_page_with_its_files_is_small(browser: Browser, signed_in: BrowserContext, server: Server) -> None:
    fresh = browser.new_context(viewport={"width": 1280, "height": 900})
    fresh.add_cookies(signed_in.cookies())  # type: ignore[arg-type]
    page = fresh.new_page()
    wire = fresh.new_cdp_session(page)
    wire.send("Network.enable")
    sizes: list[float] = []
    wire.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto(f"{server.url}/insurance")
    wait_for_charts(page)
    page.wait_for_load_state("networkidle")
    fresh.close()

    assert 50_000 < sum(sizes) <= MOST_COMPRESSED_BYTES
