"""Pages without a browser: their contents and their caching."""

from __future__ import annotations

import csv
import io
import re

import openpyxl
import pytest
from fastapi.testclient import TestClient

from quintet.web.pages import insurance
from quintet.web.pages.promotions import TABS

HTML = {"accept": "text/html"}
PAGES = [
    *("/", "/insurance", "/promotions", "/lending", "/reports", "/insurance?year_from=2010&year_to=2012&state=OH"),
    *("/conversions", "/conversions?measure=match_rate"),
]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_names_its_snapshot_and_answers_304(client: TestClient, path: str) -> None:
    page = client.get(path, headers=HTML)
    again = client.get(path, headers=HTML | {"if-none-match": page.headers["etag"]})

    assert page.status_code == 200
    assert client.get("/readyz").json()["snapshot"] in page.text
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_no_inline_script_or_style_and_no_other_hosts(client: TestClient, path: str) -> None:
    page = client.get(path, headers=HTML).text

    assert re.findall(r"<script(?![^>]*(?:src=|application/json))", page) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", page) == []
    assert [url for url in re.findall(r'(?:href|src|action)="([^"]+)"', page) if not url.startswith(("/", "#"))] == []


def test_an_invalid_filter_is_reported_beside_the_filters(client: TestClient) -> None:
    page = client.get("/insurance?year_from=2014&year_to=2010", headers=HTML)

    assert page.status_code == 200
    assert "2014 is after To year 2010" in page.text


def test_a_filter_without_rows_says_what_to_do(client: TestClient) -> None:
    page = client.get("/insurance?state=XX", headers=HTML)

    assert page.status_code == 200
    assert "No row matches these filters" in page.text


def test_text_in_the_address_stays_text(client: TestClient) -> None:
    page = client.get("/insurance?state=%3Cscript%3Ealert(1)%3C/script%3E", headers=HTML)

    assert "<script>alert" not in page.text


def test_an_unknown_agency_is_a_page_with_the_problem(client: TestClient) -> None:
    page = client.get("/insurance/agencies/1", headers=HTML)

    assert page.status_code == 404
    assert "There is no agency 1" in page.text
    assert page.headers["content-type"].startswith("text/html")


def test_every_figure_has_its_csv(client: TestClient) -> None:
    pages = [client.get(f"/insurance?year_from=2010&tab={tab}", headers=HTML).text for tab in insurance.TABS]
    addresses = sorted({one for page in pages for one in re.findall(r'href="(/insurance/figures/[^"]+)"', page)})

    assert len(addresses) > 5
    for address in addresses:
        answer = client.get(address.replace("&amp;", "&"))
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert answer.headers["content-type"].startswith("text/csv")
        assert rows, address
    assert client.get("/insurance/figures/nothing.csv").status_code == 404


def test_a_report_is_listed_in_the_history(client: TestClient) -> None:
    before = client.get("/reports", headers=HTML).text.count(">year_from 2009<")
    report = client.get("/v1/insurance/reports/premium", params={"year_from": 2009})
    after = client.get("/reports", headers=HTML).text.count(">year_from 2009<")

    assert report.status_code == 200
    assert after == before + 1


def test_workbook_csv_and_summary_agree_to_the_cent(client: TestClient) -> None:
    asked = {"year_from": 2010, "year_to": 2012}
    book = openpyxl.load_workbook(
        io.BytesIO(client.get("/v1/insurance/reports/premium", params=asked).content), data_only=False
    )
    text = client.get("/v1/insurance/reports/premium", params=asked | {"format": "csv"}).text
    (total,) = client.get("/v1/insurance/summary", params=asked).json()["items"]
    lines = client.get("/v1/insurance/summary", params=asked | {"group_by": "agency,prod_line"}).json()

    rows = list(csv.DictReader(io.StringIO(text)))
    cents = sum(round(100 * float(row["written_premium"] or 0)) for row in rows)
    assert cents == round(100 * total["written_premium"])
    assert len(rows) == len(lines["items"])
    values = {cell.value for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None}
    numbers = {round(100 * value) for value in values if isinstance(value, int | float)}
    assert round(100 * total["written_premium"]) in numbers
    assert [value for value in values if isinstance(value, str) and value.startswith("=")] == []


def test_every_figure_of_promotions_has_its_csv(client: TestClient) -> None:
    pages = [client.get(f"/promotions?grain=week&tab={tab}", headers=HTML).text for tab in TABS]
    addresses = sorted({one for page in pages for one in re.findall(r'href="(/promotions/figures/[^"]+)"', page)})

    assert len(addresses) > 6
    for address in addresses:
        rows = list(csv.DictReader(io.StringIO(client.get(address.replace("&amp;", "&")).text)))
        assert rows, address
    assert client.get("/promotions/figures/nothing.csv").status_code == 404


@pytest.mark.parametrize("query", ["threshold=2", "threshold=nan", "grain=year"])
def test_an_invalid_selection_of_promotions_is_reported_beside_the_filters(client: TestClient, query: str) -> None:
    page = client.get(f"/promotions?{query}", headers=HTML)

    assert page.status_code == 200
    assert "Cannot be shown" in page.text
    assert client.get(f"/promotions/figures/top-codes.csv?{query}").status_code == 422


def test_a_user_is_confirmed_and_cleared_on_the_page(client: TestClient) -> None:
    user = client.get("/v1/promotions/overview").json()["top_users"]["items"][-1]["user_id"]
    page = client.get(f"/promotions?user={user}", headers=HTML).text
    verdict = "abuser" if "labelled honest" in page else "honest"
    form = {"user_id": user, "verdict": verdict, "replace": "true", "back": user}
    answer = client.post("/promotions/labels", data=form, headers=HTML, follow_redirects=False)
    after = client.get(f"/promotions?user={user}", headers=HTML).text

    assert (answer.status_code, answer.headers["location"]) == (303, f"/promotions?user={user}#to-judge")
    assert f"labelled {verdict}" in after
    assert client.post("/promotions/labels", data=form | {"verdict": "maybe"}).status_code == 422


def test_a_trial_sign_up_is_scored_and_not_stored(client: TestClient) -> None:
    form = {"user_id": "only-tried", "email": "a@b", "dob": "1990-01-01", "promo_code": "7618", "created_at": ""}
    page = client.post("/promotions/try", data=form, headers=HTML)
    label = client.post("/v1/promotions/labels", json={"user_id": "only-tried", "is_abuser": True})

    assert page.status_code == 200
    assert re.search(r"score 0\.\d{3}|score 1\.000", page.text)
    assert label.status_code == 404


@pytest.mark.parametrize(
    ("field", "text", "marked", "said"),
    [
        ("dob", "long ago", "dob", "Write the date as year-month-day, such as 1990-05-17."),
        ("dob", "17/05/1990", "dob", "Write the date as year-month-day, such as 1990-05-17."),
        ("created_at", "yesterday", "created_at", "Write the time as 2026-01-01T10:00:00Z, or nothing for now."),
        ("used_at", "2026-01-01T00:00:00Z", "promo_code", "Enter the code, or clear the time."),
    ],
)
def test_an_invalid_trial_marks_the_field_and_says_what_to_write(
    client: TestClient, field: str, text: str, marked: str, said: str
) -> None:
    page = client.post("/promotions/try", data={field: text}, headers=HTML)

    assert page.status_code == 422
    assert f'value="{text}"' in page.text
    assert page.text.count('aria-invalid="true"') == 1
    assert f'aria-invalid="true" aria-describedby="try-{marked}-problem"' in page.text
    assert said in page.text.split(f'id="try-{marked}-problem"')[1].split("</p>")[0]
