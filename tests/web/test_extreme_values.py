"""Pages on a phone with long texts that cannot be broken, and charts of values that are zero, one or huge."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import altair as alt
import duckdb
import httpx
import pandas as pd
import pytest
from playwright.sync_api import Browser

from quintet.domains import open_state_store
from quintet.insurance import agency_charts, forecast_charts
from quintet.lending import decision_charts, decision_tables
from quintet.lending.decision_log import DecisionLog
from quintet.payments.detector import LARGEST_COUNT
from quintet.presentation.design import Figure
from quintet.promotions import model_charts
from quintet.settings import load_settings
from quintet.state.keys import create_key
from quintet.state_place import Place
from quintet.warehouse.snapshot import current_snapshot
from tests.unit.insurance.chart_frames import FORECAST, by_agency, by_line_and_year
from tests.unit.lending.models import RECORD
from tests.unit.promotions.chart_frames import bins
from tests.waiting import LONG_SECONDS, wait_until
from tests.web.browser import Visit, draw, wait_for_charts
from tests.web.layout import label_faults, scrolls_sideways, text_faults
from tests.web.service import Server, serving

LONG = "_".join(["unbroken"] * 9)
"""A text of 80 characters without a place to break it."""

SERIES = LONG[:62]
_GIVEN = (
    *("_source_file", "broker_source_file", "source_file", "kept_file", "first_file", "file", "text", "message"),
    *("email", "first_name", "last_name", "city", "user_agent", "promo_code", "top_code", "partner", "ui_element"),
    *("page_category", "measurement_category", "vendor", "note", "labelled_by", "reason", "example"),
)
"""The columns whose texts come from files and people."""


def _lengthen(snapshot: Path) -> None:
    """Make each given text of a snapshot a long one; equal texts stay equal."""
    with duckdb.connect(snapshot) as connection:
        columns = connection.execute(
            "select schema_name, table_name, column_name from duckdb_columns() join duckdb_tables() "
            "using (schema_name, table_name) where data_type = 'VARCHAR' and schema_name in ('marts', 'ml') "
            f"and column_name in {_GIVEN}"
        ).fetchall()
        for schema, table, column in columns:
            connection.execute(f"update {schema}.{table} set {column} = {column} || '_{LONG}'")
        for table in ("cells", "rates", "findings"):
            connection.execute(
                f"update ml.conversion_{table} set level = level || '_{LONG}' "
                "where dimension in ('page_category', 'ui_element')"
            )


def _decide(state: Place, now: dt.datetime) -> None:
    """Log decisions of a model, a policy and reasons with long names that took from 50 µs to five minutes."""
    log = DecisionLog(state)
    log.start()
    for number, milliseconds in enumerate((0.05, 1.0, 900.0, 1_500.0, 300_000.0)):
        log.record(
            replace(
                RECORD,
                application_id=10**9 + number,
                decided_at=(now - dt.timedelta(hours=5 * number)).isoformat(),
                asked_by=LONG,
                model_version=LONG,
                policy_version=LONG,
                reasons=f'["{LONG.upper()}"]',
                answer='{"decision": "approve", "reasons": []}',
                latency_ms=milliseconds,
                waited_ms=milliseconds / 2,
            )
        ).result()
    log.close()


@pytest.fixture(scope="module")
def server(built_home: Path, drawing_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service for these tests alone, used by a person with a long name, over data with long texts."""
    home = tmp_path_factory.mktemp("extreme")
    (home / "cache").symlink_to(drawing_cache)
    (home / "serving").mkdir()
    snapshot = shutil.copy(current_snapshot(built_home / "serving"), home / "serving")
    (home / "serving" / "current.duckdb").symlink_to(Path(snapshot).name)
    _lengthen(Path(snapshot))
    now = dt.datetime.now(dt.UTC)
    state = load_settings({"QUINTET_HOME": str(home)}).state
    _decide(state, now)
    store = open_state_store(state)
    _, key = create_key(store, LONG, ["admin"], now, os.urandom)
    store.close()
    with serving(home, tmp_path_factory.mktemp("server") / "log") as server:
        yield replace(server, key=key)


@pytest.fixture(scope="module")
def planted(server: Server) -> list[str]:
    """The pages that show what was planted: counts from zero to the largest, silences, notes, verdicts and rules."""
    now = dt.datetime.now(dt.UTC).replace(second=0, microsecond=0)
    headers = {"authorization": f"Bearer {server.key}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=LONG_SECONDS) as client:

        def post(path: str, body: Any) -> Any:
            return client.post(path, json=body, headers={"idempotency-key": path}).raise_for_status().json()

        def count(age: int, status: str, number: int) -> dict[str, Any]:
            return {"minute_at": (now - dt.timedelta(minutes=age)).isoformat(), "status": status, "count": number}

        usual = [count(age, *one) for age in range(80, 20, -1) for one in (("approved", 100), (SERIES, 1))]
        broken = [count(age, *one) for age in range(20, 10, -1) for one in (("approved", 0), (SERIES, LARGEST_COUNT))]
        post("/v1/payments/transactions", usual + broken)
        incidents = client.get("/v1/payments/incidents").raise_for_status().json()["items"]
        (own,) = [one["incident_id"] for one in incidents if one["series"] == SERIES][:1]
        post(f"/v1/payments/incidents/{own}/acknowledge", None)
        post("/v1/payments/silences/begin", {"series": SERIES, "minutes": 60, "comment": LONG})
        cases = wait_until(lambda: _case_of_each_kind(client))
        for case in cases:
            post(f"/v1/cases/{case}/note", {"note": LONG})
        agency = client.get("/v1/insurance/summary?group_by=agency").json()["items"][0]["agency_id"]
        click = client.get("/v1/conversions/matches").json()["items"][0]["conversion_id"]
    return [
        *("/", "/cases", "/insurance", f"/insurance/agencies/{agency}", "/insurance?tab=agencies"),
        *("/promotions", "/promotions?tab=activity", "/promotions?tab=certainty", "/promotions/rules"),
        *("/conversions", "/conversions?tab=pages", "/conversions?tab=lost", "/conversions?tab=certainty"),
        *(f"/conversions/clicks/{click}", "/lending", "/lending/decisions", f"/lending/applications/{10**9}"),
        *("/payments?day=live", "/payments?day=2024-01-02", "/pipeline", "/reports", f"/search?q={LONG[:60]}"),
        *(f"/cases/{case}" for case in cases),
    ]


def _case_of_each_kind(client: httpx.Client) -> list[str]:
    found = client.get("/v1/cases", params={"page_size": 1_000}).raise_for_status().json()["items"]
    kinds = {one["kind"]: one["case_id"] for one in found}
    return [*kinds.values()] if {"account", "incident", "loan", "pair"} <= set(kinds) else []


def test_no_page_is_wider_than_a_phone_whatever_people_write(visit: Visit, planted: list[str]) -> None:
    visit.page.set_viewport_size({"width": 390, "height": 844})
    faults, seen = list[str](), ""
    visit.page.on("response", lambda answer: faults.append(answer.url) if answer.status >= 400 else None)
    for path in planted:
        page = visit.open(path)
        assert page.locator("main h1").count() == 1, path
        seen += page.locator("main").inner_text()
        found = text_faults(page) + (["the page scrolls sideways"] if scrolls_sideways(page) else [])
        faults += [f"{path}: {one}" for one in found]

    assert faults == []
    assert seen.count(LONG) > len(planted)


def test_a_long_text_that_is_not_broken_is_found(visit: Visit) -> None:
    page = visit.page
    page.goto("about:blank")
    page.set_viewport_size({"width": 390, "height": 844})
    page.set_content(f"<ul style='display:grid'><li>{LONG}</li></ul>")

    assert scrolls_sideways(page)


def _decisions(milliseconds: Sequence[float | None], gap: str, reason: str = LONG.upper()) -> list[Figure]:
    """Return the figures of decisions that took so long, a gap apart."""
    count = len(milliseconds)
    rows = pd.DataFrame(
        {
            "decided_at": [pd.Timestamp("2026-11-30") + number * pd.Timedelta(gap) for number in range(count)],
            "decision": "refer",
            "reasons": f'["{reason}"]',
            "score": [0.0, 1.0, *[None] * count][:count],
            "figures": "{}",
            "degraded_reason": None,
            "waited_ms": milliseconds,
            "latency_ms": milliseconds,
        }
    ).astype({"score": "float64", "waited_ms": "float64", "latency_ms": "float64"})
    return [
        decision_charts.latency_figure(decision_tables.latencies(rows, "15min")),
        decision_charts.shares_figure(decision_tables.shares(rows, "15min")),
        decision_charts.scores_figure(decision_tables.scores(rows), count, 0.999, 1.0),
        decision_charts.reasons_figure(decision_tables.reasons(rows), count),
    ]


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize(
    ("milliseconds", "gap"),
    [
        ([0.1], "1min"),
        ([0.0, -3.0, 0.02], "20min"),
        ([0.1, 1_000.0, 1_200.0], "20min"),
        ([0.1, None, 90_000.0, 600_000.0], "2D"),
        ([5_000.0] * 40, "25min"),
    ],
)
def test_the_charts_of_decisions_hold_for_any_latency(
    visit: Visit, width: int, milliseconds: Sequence[float | None], gap: str
) -> None:
    figures = _decisions(milliseconds, gap)
    page = visit.open("/reports")
    page.set_viewport_size({"width": width, "height": 844})
    draw(page, figures)

    assert wait_for_charts(page) == sum(figure.chart is not None for figure in figures)
    faults = [one for one in label_faults(page) if LONG.upper()[:9] not in one]  # its table has it in full
    assert faults == []
    assert not scrolls_sideways(page)
    frame = page.locator("#latency svg.marks").bounding_box()
    assert frame is not None
    for mark in page.locator("#latency svg.marks .mark-symbol.role-mark path").all():
        box = mark.bounding_box()
        assert box is not None
        assert frame["y"] + 20 < box["y"] < frame["y"] + frame["height"]  # below the legend, above the foot


def _thin(size: float) -> list[Figure]:
    """Return the charts of one agency with one year, and of accounts without an abuser. size: of the premium, USD."""
    whole = by_line_and_year({"year": 2012, "written_premium": size}, {"prod_line": "PL", "written_premium": 2 * size})
    whole = whole.assign(year=2012)
    bands = dict.fromkeys(("lo80", "hi80", "lo95", "hi95"), float("nan"))
    ahead = FORECAST.assign(year=2013, forecast=[size, 2 * size], **bands)
    loser = by_agency({"written_premium": size, "loss_ratio": 9.0, "incurred_losses": 9 * size})
    usual = by_agency({"written_premium": size, "loss_ratio": 0.5, "incurred_losses": size / 2})
    return [
        agency_charts.agency_scatter(loser),
        replace(agency_charts.agency_scatter(usual), name="usual-agency"),
        agency_charts.agency_history(whole),
        replace(agency_charts.agency_history(whole.assign(loss_ratio=None)), name="without-losses"),
        forecast_charts.forecast_with_bands(whole, ahead),
        model_charts.score_histogram(bins(40, 0, 3).assign(abusers=0), 0.5),
    ]


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("size", [3.0, 121_000.0, 4e12])
def test_the_charts_of_one_agency_one_year_and_no_abuser_have_whole_axes(visit: Visit, width: int, size: float) -> None:
    figures = _thin(size)
    page = visit.open("/reports")
    page.set_viewport_size({"width": width, "height": 844})
    draw(page, figures)

    assert wait_for_charts(page) == len(figures)
    assert label_faults(page) == []
    assert not scrolls_sideways(page)  # that no axis is infinite, the fixture sees in the console


def test_an_infinite_axis_is_found(browser: Browser, server: Server) -> None:
    context = browser.new_context()
    visit = Visit(context, server)
    page = visit.sign_in("/reports")
    empty = alt.Chart(pd.DataFrame({"x": [], "y": []})).mark_point().encode(x="x:Q", y="y:Q")
    draw(page, [replace(_thin(1.0)[0], chart=empty)])
    wait_for_charts(page)
    context.close()

    assert any("Infinite extent" in fault for fault in visit.faults)
