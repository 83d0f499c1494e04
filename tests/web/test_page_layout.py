"""What a person sees of each page: whole labels, no sideways scroll, the own entry of the menu, and plain sentences."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import expect

from tests.web.browser import Visit, wait_for_charts
from tests.web.layout import label_faults, scrolls_sideways

AGENCY = "/insurance/agencies/"
"""The page of the first agency of the table on /insurance."""
PATHS = [
    *("/", "/insurance", AGENCY, "/promotions", "/conversions", "/payments?day=2024-01-02"),
    *("/lending", "/lending/decisions", "/lending/model", "/lending/what-if", "/reports"),
]
HTML = {"accept": "text/html"}
_NO_PLURALS = "is|was|has|this|as|its|us|business|process|class|less|loss|does"
_PLURAL = re.compile(rf"(?<![\w.,:/%-])1 ((?!(?:{_NO_PLURALS})\b)[a-z]+s)\b")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("path", PATHS)
def test_no_label_is_cut_and_nothing_scrolls_sideways(visit: Visit, path: str, width: int) -> None:
    visit.page.set_viewport_size({"width": width, "height": 844})
    page = visit.open("/insurance" if path == AGENCY else path)
    if path == AGENCY:
        page.goto(visit.server.url + str(page.locator("#results .table-section table a").first.get_attribute("href")))
    wait_for_charts(page)
    page.wait_for_function("[...document.querySelectorAll('.figure:has(.plot)')].every((one) => one.dataset.drawn)")

    assert label_faults(page) == []
    assert not scrolls_sideways(page)
    entry = page.locator(".rail nav [aria-current]").bounding_box()
    assert entry is not None
    assert 0 <= entry["x"] <= width - entry["width"], "the entry of this page is out of sight"


def test_labels_that_overlap_or_are_cut_are_found(visit: Visit) -> None:
    page = visit.open("/reports")
    page.set_content(
        '<div class="figure" id="f"><svg class="marks" width="100" height="40"><text x="5" y="20">first</text>'
        '<text x="9" y="20">second</text><text x="90" y="38">too wide</text><text x="5" y="38">lab…</text>'
        '<text x="7" y="20" opacity="0">hidden</text></svg></div>'
    )
    assert label_faults(page) == [
        'f: "first" and "second" overlap',
        'f: "too wide" is cut',
        'f: "lab…" is shortened',
    ]


def test_back_restores_the_box_of_an_agency_with_its_table(visit: Visit) -> None:
    page = visit.open("/insurance")
    rows = page.locator("#agencies-table-title").locator("xpath=ancestor::section").locator("tbody tr")
    before = rows.count()
    box = page.get_by_label("Agency", exact=True)
    box.fill(rows.first.locator("td").first.inner_text())
    box.press("Enter")
    page.wait_for_url("**/insurance?agency=*")
    expect(rows).to_have_count(1)

    page.go_back()
    expect(rows).to_have_count(before)
    expect(box).to_have_value("")


def test_a_field_that_is_wrong_is_marked_also_after_a_change(visit: Visit) -> None:
    page = visit.open("/insurance")
    box = page.get_by_label("Agency", exact=True)
    box.fill("forty")
    box.press("Enter")
    expect(page.locator("#filter-agency-problem")).to_contain_text("not a whole number")
    expect(box).to_have_attribute("aria-invalid", "true")
    box.fill("3")
    box.press("Enter")
    expect(page.locator(".field-problem")).to_have_count(0)
    expect(box).not_to_have_attribute("aria-invalid", "true")


@pytest.mark.parametrize("path", [*PATHS, "/insurance?agency=", "/reports?agency="])
def test_one_is_not_counted_in_the_plural(client: TestClient, path: str) -> None:
    if path == AGENCY or path.endswith("="):
        path += str(client.get("/v1/insurance/summary?group_by=agency").json()["items"][0]["agency_id"])
    text = re.sub(r"<script.*?</script>|<[^>]+>", " ", client.get(path, headers=HTML).text, flags=re.DOTALL)

    assert [found[0] for found in _PLURAL.finditer(text)] == []


def test_a_plural_after_one_is_found() -> None:
    assert _PLURAL.findall("1 agencies, 1 files rejected, 21 rows, 1,001 rows, 0.1 points, 1 row, 1 is") == [
        "agencies",
        "files",
    ]
