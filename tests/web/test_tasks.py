"""What people come for, each done in at most three clicks from the overview, in a browser."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from quintet.warehouse.snapshot import open_snapshot
from tests.web.browser import Visit
from tests.web.service import Server, serving


@pytest.fixture(scope="module")
def server(built_home: Path, drawing_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service of its own, with an open incident of denied payments."""
    home = tmp_path_factory.mktemp("tasks")
    (home / "serving").symlink_to(built_home / "serving")
    (home / "cache").symlink_to(drawing_cache)
    with serving(home, tmp_path_factory.mktemp("server") / "log") as server:
        now = dt.datetime.now(dt.UTC).replace(second=0, microsecond=0)
        for age in range(80, 0, -1):
            counts = {"approved": 100, "denied": 70 if age < 6 else 10}
            at = (now - dt.timedelta(minutes=age)).isoformat()
            items = [{"minute_at": at, "status": status, "count": count} for status, count in counts.items()]
            headers = {"authorization": f"Bearer {server.key}"}
            httpx.post(f"{server.url}/v1/payments/transactions", json=items, headers=headers).raise_for_status()
        yield server


class Clicks:
    """A reader who starts at the overview and counts clicks."""

    def __init__(self, page: Page) -> None:
        self.page, self.count = page, 0

    def click(self, target: Locator) -> None:
        """Click, and wait for what it opens."""
        self.count += 1
        target.click()
        self.page.wait_for_load_state()


@pytest.fixture
def reader(visit: Visit) -> Iterator[Clicks]:
    reader = Clicks(visit.open("/"))
    yield reader
    assert reader.count <= 3


def menu(page: Page, name: str) -> Locator:
    return page.get_by_role("navigation", name="Pages").get_by_role("link", name=name, exact=True)


def test_which_incident_is_open_and_acknowledge_it(reader: Clicks) -> None:
    page = reader.page
    reader.click(menu(page, "Payments"))
    expect(page.locator("#now .verdict")).to_contain_text("Something is wrong now: denied")
    reader.click(page.locator("#now").get_by_role("button", name="Acknowledge").first)

    expect(page.locator("#now")).to_contain_text("handled by QUINTET_ADMIN_KEY")


def test_the_worst_page_of_conversions_and_why(reader: Clicks) -> None:
    page = reader.page
    reader.click(menu(page, "Conversions"))
    worst = page.locator("#worst-page")
    if worst.count():  # said at once, where a page differs from the others
        expect(worst).to_contain_text("among equals")
        return
    reader.click(page.get_by_role("link", name="Pages, countries, devices"))
    row = page.locator("#levels-1-title").locator("xpath=ancestor::section").locator("tbody tr").first
    expect(row).to_contain_text("%")
    expect(row.locator("td").last).to_contain_text("among equals")


def test_run_the_premium_report_for_three_years(reader: Clicks) -> None:
    page = reader.page
    reader.click(menu(page, "Reports"))
    page.get_by_label("From year").select_option("2012")
    page.get_by_label("To year").select_option("2014")
    page.wait_for_url("**year_from=2012*year_to=2014*")
    with page.expect_download() as started:
        reader.click(page.locator("a.download").first)

    assert "2012" in started.value.suggested_filename
    assert started.value.suggested_filename.endswith(".xlsx")


def test_why_an_application_was_rejected(reader: Clicks) -> None:
    page = reader.page
    reader.click(menu(page, "Lending"))
    reader.click(page.locator("#applications-title").locator("xpath=ancestor::section").locator("tbody a").first)

    expect(page.locator("#decision-title")).to_have_text("Rejected because")
    expect(page.locator("#decision-title").locator("xpath=following-sibling::ul").locator("li").first).to_be_visible()


def test_who_is_in_a_cluster(reader: Clicks) -> None:
    page = reader.page
    reader.click(menu(page, "Promotions"))
    row = page.locator("#clusters-title").locator("xpath=ancestor::section").locator("tbody tr").first
    accounts = int(row.locator("td").nth(1).inner_text())
    reader.click(row.locator("a"))

    expect(page.locator("#members-title").locator("xpath=ancestor::section").locator("tbody tr")).to_have_count(
        accounts
    )


def test_an_agency_is_found_by_its_id(reader: Clicks, built_home: Path) -> None:
    with open_snapshot((built_home / "serving" / "current.duckdb").resolve()) as snapshot:
        ((agency,),) = snapshot.execute("select max(agency_id) from marts.dim_agency").fetchall()
    page = reader.page
    page.get_by_role("searchbox").fill(str(agency))
    page.keyboard.press("Enter")
    reader.click(page.get_by_role("link", name=f"agency {agency}", exact=True))

    expect(page.locator("h1")).to_contain_text(str(agency))
