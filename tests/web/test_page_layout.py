"""What a person sees of each page: whole labels, no sideways scroll, the own entry of the menu, and plain sentences."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from fastapi import FastAPI
from fastapi.testclient import TestClient
from playwright.sync_api import expect

from tests.waiting import wait_until
from tests.web.browser import RULES, Visit, wait_for_charts
from tests.web.layout import label_faults, scrolls_sideways, text_faults
from tests.web.routes import pages
from tests.web.service import items

SIZES: list[tuple[int, Any]] = [(1280, "light"), (390, "dark")]
"""The widths at which all pages are looked at, each with a colour scheme."""
HTML = {"accept": "text/html"}
_NO_PLURALS = "is|was|has|this|as|its|us|business|process|class|less|loss|does"
_PLURAL = re.compile(rf"(?<![\w.,:/%-])1 ((?!(?:{_NO_PLURALS})\b)[a-z]+s)\b")


def addresses(app: FastAPI, client: TestClient) -> list[str]:
    """Return the address of every page of the application, with ids that the snapshot has, and of every tab."""
    kinds = {"agency_id": "agency", "application_id": "application", "client_id": "client", "conversion_id": "click"}
    hits = [hit for digit in "123456789" for hit in client.get("/v1/search", params={"q": digit}).json()["items"]]
    ids = {name: next(hit["id"] for hit in hits if hit["kind"] == kind) for name, kind in kinds.items()}
    cases = wait_until(lambda: _case_of_each_kind(client))
    found = [*dict.fromkeys(path.format_map(ids | {"case_id": case}) for path in pages(app) for case in cases)]
    for path in [*found]:
        html = client.get(path, headers=HTML).text
        found += [unescape(tab) for tab in re.findall(r'href="([^"]+[?][^"]*)"', _tabs(html))]
    return [*dict.fromkeys(found), "/payments?day=2024-01-02", "/search?q=1", "/pipeline?business=conversions"]


def _case_of_each_kind(client: TestClient) -> list[str]:
    """Return a case of each kind, or nothing while the service still opens them."""
    found = {one["kind"]: one["case_id"] for one in items(client, "/v1/cases", page_size=1000)}
    return [*found.values()] if {"account", "incident", "loan", "pair"} <= set(found) else []


def _tabs(html: str) -> str:
    found = re.search(r'<nav class="tabs".*?</nav>', html, flags=re.DOTALL)
    return found[0] if found else ""


def test_no_page_cuts_a_label_scrolls_sideways_or_shuts_anyone_out(
    app: FastAPI, client: TestClient, visit: Visit
) -> None:
    paths = addresses(app, client)
    assert {"/", "/pipeline", "/lending/what-if", "/conversions?tab=lost", "/insurance?tab=compare"} <= set(paths)
    faults = []
    for width, scheme in SIZES:
        visit.page.set_viewport_size({"width": width, "height": 844})
        visit.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for path in paths:
            page = visit.open(path)
            wait_for_charts(page)
            expect(page.locator(".figure:has(.plot):not([data-drawn])")).to_have_count(0)
            found = [*label_faults(page), *text_faults(page)]
            found += ["the page scrolls sideways"] if scrolls_sideways(page) else []
            entry = page.locator(".rail nav [aria-current]")
            if entry.count():
                box = entry.bounding_box()
                found += [] if box and 0 <= box["x"] <= width - box["width"] else ["its entry is out of sight"]
            broken = Axe().run(page, options=RULES).response["violations"]
            found += [f"{rule['id']}: {rule['nodes'][0]['html'][:160]}" for rule in broken]
            faults += [f"{path} at {width} px: {one}" for one in found]

    assert faults == []


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


def test_texts_that_are_cut_beyond_the_screen_or_overlap_are_found(visit: Visit) -> None:
    page = visit.page
    page.goto("about:blank")  # without the service's policy, which refuses inline styles
    page.set_viewport_size({"width": 390, "height": 844})
    page.set_content(
        '<h2 style="width:40px;overflow:hidden;white-space:nowrap">A long heading</h2>'
        '<button style="position:absolute;left:380px">Beyond</button>'
        '<ul class="cards"><li style="position:absolute;top:90px">one</li>'
        '<li style="position:absolute;top:95px">two</li></ul>'
        '<h3 class="hidden" style="width:1px;overflow:hidden">Hidden on purpose</h3>'
    )
    assert text_faults(page) == [
        'h2 "A long heading" is cut',
        'button "Beyond" is beyond the screen',
        'li "one" and li "two" overlap',
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


def test_a_tab_does_not_count_as_a_filter(visit: Visit) -> None:
    expect(visit.open("/conversions?tab=lost").locator(".chosen")).to_have_text("")
    expect(visit.open("/conversions?tab=lost&device=mobile").locator(".chosen")).to_have_text("1 set")


def test_one_is_not_counted_in_the_plural(app: FastAPI, client: TestClient) -> None:
    agency = client.get("/v1/insurance/summary?group_by=agency").json()["items"][0]["agency_id"]
    paths = [*addresses(app, client), f"/insurance?agency={agency}", f"/reports?agency={agency}"]
    found = {}
    for path in paths:
        text = re.sub(r"<script.*?</script>|<[^>]+>", " ", client.get(path, headers=HTML).text, flags=re.DOTALL)
        found |= {path: plurals} if (plurals := [one[0] for one in _PLURAL.finditer(text)]) else {}

    assert found == {}


def test_a_plural_after_one_is_found() -> None:
    assert _PLURAL.findall("1 agencies, 1 files rejected, 21 rows, 1,001 rows, 0.1 points, 1 row, 1 is") == [
        "agencies",
        "files",
    ]
