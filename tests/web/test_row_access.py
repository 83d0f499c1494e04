"""Row-level access: a bound key sees its part of the rows, on every route of the application."""

from __future__ import annotations

import datetime as dt
import io
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import httpx
import openpyxl
import pytest
from fastapi import APIRouter, Request
from fastapi.testclient import TestClient
from starlette.responses import JSONResponse, Response

from quintet.domains import DOMAIN_NAMES, ROW_POLICIES
from quintet.state.binding import Binding
from quintet.state.keys import create_key
from quintet.state.store import StateStore
from quintet.web.pages.insurance import FIGURES
from quintet.web.row_access import restricted_by
from quintet.web.security import guarded_router
from quintet.web.snapshots import Part
from tests.web.routes import OPEN, PARAMETERS, routes
from tests.web.service import ADMIN, build_app

NOW = dt.datetime.now(dt.UTC)

PLANTED = {
    "agency_id": 918273645,
    "primary_agency_id": 918273645,
    "vendor": "Vendorplanted",
    "prod_abbr": "PRODPLANTED",
    "state_abbr": "QQ",
    "partner": "partnerplanted",
    "first_file": "fileplanted.csv",
    "broker_source_file": "fileplanted.csv",
    "session_id": "sessionplanted",
}
"""What stands in the rows of everybody else, by column."""

AMOUNTS = ("written_premium", "new_business_premium", "prev_written_premium", "earned_premium", "incurred_losses")

SPLIT = {policy.domain for policy in ROW_POLICIES.values()}

WHOLE = {
    "/cases": "a case of a pair shows conversions of other partners",
    "/v1/cases": "the same",
    "/v1/case-verdicts": "the same",
    "/pipeline": "files, rows and tables of everybody",
    "/reports/files": "the PDFs of a run are of the whole book",
    "/metrics": "counts of everybody",
    "/v1/conversions/funnel": "its steps count conversions that have no partner",
    "/conversions$": "its figures are of all conversions, most of which have no partner",
    "/conversions/figures": "the same",
    "/conversions/files": "the same",
    **{f"/{name}": "no table of this business is split" for name in {*DOMAIN_NAMES} - SPLIT},
    **{f"/v1/{name}": "no table of this business is split" for name in {*DOMAIN_NAMES} - SPLIT},
}
"""Why the routes below a path are closed to every bound key. A route that is neither here nor open fails a test."""


@dataclass(frozen=True)
class Worlds:
    """Two services whose snapshots differ in the rows of everybody else alone, and the values of one's own."""

    one: TestClient
    other: TestClient
    agency: str
    partner: str
    conversion: str

    def key(self, scopes: Sequence[str], binding: Binding | None) -> dict[str, str]:
        """Return the headers with a new key of both services."""
        secret = os.urandom(32)
        for client in (self.one, self.other):
            given = iter((secret[:4], secret))
            _, text = create_key(_store(client), "Ana", scopes, NOW, lambda _: next(given), binding)  # noqa: B023
        return {"authorization": f"Bearer {text}", "x-request-id": "of-the-test"}

    def bound(self) -> dict[str, dict[str, str]]:
        """Return the headers of a key that may do everything, bound to the agency or the partner, by kind."""
        values = {"agency": self.agency, "partner": self.partner}
        return {kind: self.key(["admin"], Binding.of({kind: [value]})) for kind, value in values.items()}

    def addresses(self, path: str) -> list[str]:
        """Return what is requested of a route: with one's own ids and those of others."""
        if path == "/insurance/figures/{name}.csv":
            return [path.format(name=name) for name in ("agencies", *FIGURES)]
        own = PARAMETERS | {"agency_id": self.agency, "conversion_id": self.conversion}
        found = [path.format(**own)]
        if path == "/v1/insurance/reports/premium":
            found += [f"{path}?format=csv", f"{path}?format=csv&agency=918273645"]
        if path == "/v1/insurance/summary":
            found += [
                f"{path}?group_by={by}" for by in ("agency", "state", "product", "vendor", "primary_agency", "year")
            ]
        if path == "/v1/insurance/performance":
            found += [f"{path}?page_size=1000", f"{path}?agency=918273645"]
        if path == "/insurance":
            found += [f"{path}?tab={tab}" for tab in ("agencies", "compare", "forecast")]
        if path in ("/search", "/v1/search"):
            found = [f"{path}?q={text}" for text in (self.agency, "9", "918273645", self.conversion, "1", "fct")]
        return found


def _store(client: TestClient) -> StateStore:
    return client.app.state.service.store  # type: ignore[attr-defined]


def _plant(path: Path, agency: str, factor: float) -> None:
    """Make the rows of all other agencies and partners others: planted names, and amounts times a factor."""
    with duckdb.connect(str(path)) as warehouse:
        tables = warehouse.execute(
            "select schema_name || '.' || table_name from duckdb_tables() where schema_name in ('marts', 'ml')"
        ).fetchall()
        for (table,) in tables:
            columns = {name for name, *_ in warehouse.execute(f"describe {table}").fetchall()}
            if "agency_id" in columns:
                amounts = [
                    name for name in columns if name in (*AMOUNTS, "premium", "actual", "forecast", "hi80", "lo80")
                ]
                changes = ", ".join(f"{name} = {name} * {factor}" for name in amounts)
                if changes:
                    warehouse.execute(f"update {table} set {changes} where agency_id <> {agency}")
                one = f"(select max(agency_id) from {table} where agency_id <> {agency})"
                planted = ", ".join(f"{name} = '{PLANTED[name]}'" for name in PLANTED if name in columns)
                warehouse.execute(f"update {table} set {planted} where agency_id = {one}")
            elif {"partner", "broker_source_row"} <= columns:
                planted = ", ".join(f"{name} = '{PLANTED[name]}'" for name in PLANTED if name in columns)
                warehouse.execute(f"update {table} set {planted} where coalesce(broker_source_row, 0) % 2 = 0")
        warehouse.execute(
            "insert into marts.dim_partner select * replace ('partnerplanted' as partner, "
            f"'fileplanted.csv' as first_file, {int(factor)} as rows) from marts.dim_partner limit 1"
        )
        warehouse.execute(f"update marts.dim_year set rows = rows * {int(factor)}, usual_rows = usual_rows * {factor}")
        warehouse.execute(f"update marts.dim_state set agencies = agencies * {int(factor)}")
        warehouse.execute("insert into marts.dim_product values ('PRODPLANTED', 'CL', 1999, 2099)")
        warehouse.execute(f"update ml.premium_forecast_scores set wape = wape * {factor}, bias = bias * {factor}")


@pytest.fixture(scope="module")
def worlds(built_home: Path, drawing_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    """Two worlds with a partner of one's own, which has the odd rows of the sample."""
    with ExitStack() as stack:
        clients = []
        for factor in (1.0, 3.0):
            home = tmp_path_factory.mktemp("world")
            (home / "serving").mkdir()
            (home / "cache").symlink_to(drawing_cache)
            published = (built_home / "serving" / "current.duckdb").resolve()
            snapshot = shutil.copy(published, home / "serving" / published.name)
            (home / "serving" / "current.duckdb").symlink_to(snapshot)
            with duckdb.connect(str(snapshot), read_only=True) as marts:
                ((agency,),) = marts.execute("select min(agency_id) from marts.dim_agency_segment").fetchall()
                ((conversion, partner),) = marts.execute(
                    "select min(conversion_id), any_value(partner) from marts.fct_unified_journeys "
                    "where broker_source_row % 2 = 1"
                ).fetchall()
            _plant(Path(snapshot), str(agency), factor)
            clients.append(stack.enter_context(TestClient(build_app(home), raise_server_exceptions=False)))
        yield Worlds(*clients, str(agency), partner, str(conversion))


def faults(worlds: Worlds, only: Sequence[str] = ()) -> list[str]:
    """Return the routes that show a bound key more than its part, and those that nobody has decided about.

    only: the paths that are tried, by default those of all routes of the application.
    """
    found = []
    app = worlds.one.app
    bound = worlds.bound()
    for method, path in routes(app):  # type: ignore[arg-type]
        if (method, path) in OPEN or method == "HEAD" or (only and path not in only):
            continue
        is_closed = any(path in (start, start.rstrip("$")) or path.startswith(f"{start}/") for start in WHOLE)
        is_open = False
        for headers in bound.values():
            for address in worlds.addresses(path):
                answers = [
                    client.request(method, address, headers=headers, follow_redirects=False)
                    for client in (worlds.one, worlds.other)
                ]
                if all(answer.status_code == 403 for answer in answers):
                    assert "is bound to" in answers[0].json()["detail"], address
                    continue
                is_open = True
                found += [f"{method} {address}: {fault}" for fault in _faults_of(address, answers)]
        if is_open == is_closed:
            found.append(
                f"{method} {path}: {'open and listed as closed' if is_open else 'closed, and no reason is listed'}"
            )
    return found


def _faults_of(address: str, answers: Sequence[httpx.Response]) -> Iterator[str]:
    one, other = (_text(answer) for answer in answers)
    if answers[0].status_code >= 500:
        yield f"answered {answers[0].status_code}: {one[:200]}"
    for name, value in PLANTED.items():
        if str(value) not in address and str(value) in one:
            yield f"shows {name} {value}"
    if one != other:
        yield "depends on rows of others"


def _text(answer: httpx.Response) -> str:
    """Return an answer as text; of a workbook its cells."""
    if "spreadsheet" not in answer.headers.get("content-type", ""):
        return re.sub(r'"next_page_token":"[^"]*"', "", answer.text)  # signed with the service's own secret
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    return repr([[cell.value for cell in row] for sheet in book for row in sheet.iter_rows()])


def test_no_route_shows_a_bound_key_a_row_or_a_sum_of_others(worlds: Worlds) -> None:
    assert faults(worlds) == []


def test_the_whole_shows_what_is_planted(worlds: Worlds) -> None:
    """The planted values are found where they may be: the test above looks for what is there."""
    page = worlds.one.get("/v1/insurance/summary?group_by=agency&page_size=1000", headers=ADMIN)
    assert "918273645" in page.text
    assert "partnerplanted" in worlds.one.get("/v1/conversions/matches", headers=ADMIN).text
    own = worlds.one.get("/v1/insurance/summary?group_by=agency", headers=worlds.bound()["agency"]).json()["items"]
    assert [str(row["agency_id"]) for row in own] == [worlds.agency]
    assert own[0]["written_premium"] > 0


def test_a_part_that_reads_the_whole_is_found(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Part, "read", lambda self: self.reading(None))

    paths = ("/v1/insurance/summary", "/v1/conversions/matches", "/insurance", "/reports", "/v1/search")
    found = faults(worlds, paths)

    for path in paths:
        assert any(fault.startswith(f"GET {path}") for fault in found), path


def test_a_table_that_is_not_split_is_found(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = ROW_POLICIES["agency"]
    whole = {**policy.tables, "marts.dim_product": "from whole.marts.dim_product"}
    policies = {**ROW_POLICIES, "agency": replace(policy, tables=whole)}
    for client in (worlds.one, worlds.other):
        monkeypatch.setattr(client.app.state.service.snapshots, "_policies", policies)  # type: ignore[attr-defined]
        client.app.state.service.snapshots._current.parts.clear()  # type: ignore[attr-defined]

    found = faults(worlds, ["/reports"])

    for client in (worlds.one, worlds.other):
        client.app.state.service.snapshots._current.parts.clear()  # type: ignore[attr-defined]
    assert any("shows prod_abbr PRODPLANTED" in fault for fault in found), found


def test_a_route_that_nobody_decided_about_is_closed_and_found(worlds: Worlds) -> None:
    router = guarded_router("insurance:read")

    @router.get("/v1/insurance/new")
    def new(request: Request) -> Response:
        with request.app.state.service.snapshots.read() as snapshot:
            return JSONResponse(snapshot.cursor.execute("select agency_id from marts.dim_agency").fetchall())

    with _added(worlds, router):
        assert worlds.one.get("/v1/insurance/new", headers=ADMIN).status_code == 200
        assert worlds.one.get("/v1/insurance/new", headers=worlds.bound()["agency"]).status_code == 403
        assert "GET /v1/insurance/new: closed, and no reason is listed" in faults(worlds, ["/v1/insurance/new"])
        restricted_by("agency")(new)
        assert "GET /v1/insurance/new: shows agency_id 918273645" in faults(worlds, ["/v1/insurance/new"])


@contextmanager
def _added(worlds: Worlds, router: APIRouter) -> Iterator[None]:
    apps = [client.app for client in (worlds.one, worlds.other)]
    before = [list(app.router.routes) for app in apps]  # type: ignore[attr-defined]
    for app in apps:
        app.include_router(router)  # type: ignore[attr-defined]
    yield
    for app, kept in zip(apps, before, strict=True):
        app.router.routes[:] = kept  # type: ignore[attr-defined]


def test_no_cache_and_no_tag_crosses_from_one_binding_to_another(worlds: Worlds) -> None:
    client = worlds.one
    everybody = client.get("/v1/insurance/summary?group_by=agency&page_size=1000", headers=ADMIN).json()["items"]
    agencies = [str(row["agency_id"]) for row in everybody if row["agency_id"] != PLANTED["agency_id"]][:2]
    keys = [worlds.key(["insurance:read"], Binding.of({"agency": [agency]})) for agency in agencies]
    for path in ("/v1/insurance/summary?group_by=agency", "/insurance", "/reports"):
        answers = [client.get(path, headers=headers) for headers in (ADMIN, *keys)]
        tags = [answer.headers["etag"] for answer in answers]
        assert len(set(tags)) == 3, path
        for headers in keys:  # made, then from the cache, whatever another key has
            for tag in tags:
                again = client.get(path, headers={**headers, "if-none-match": tag})
                is_own = tag == tags[1 + keys.index(headers)]
                assert again.status_code == (304 if is_own else 200), path
                assert is_own or again.text == answers[1 + keys.index(headers)].text


def test_a_session_of_a_bound_key_is_bound(worlds: Worlds) -> None:
    headers = worlds.key(["insurance:read"], Binding.of({"agency": [worlds.agency]}))
    browser = TestClient(worlds.one.app, follow_redirects=False)  # the same application, with cookies of its own
    secret = headers["authorization"].removeprefix("Bearer ")
    assert browser.post("/sign-in", data={"key": secret}).status_code == 303
    assert browser.get("/").headers["location"] == "/insurance"
    page = browser.get("/insurance")
    assert (page.status_code, "918273645" in page.text) == (200, False)
    assert 'href="/pipeline"' not in page.text
    assert browser.get("/pipeline").status_code == 403
    assert browser.get(f"/insurance/agencies/{PLANTED['agency_id']}").status_code == 404


def test_reports_of_others_are_not_in_the_history_of_a_bound_key(worlds: Worlds) -> None:
    client = worlds.one
    one, other = (worlds.key(["insurance:read"], Binding.of({"agency": [worlds.agency]})) for _ in range(2))
    assert client.get("/v1/insurance/reports/premium?format=csv&year_from=2009", headers=one).status_code == 200
    assert "year_from 2009" in client.get("/reports", headers=one).text
    assert "year_from 2009" not in client.get("/reports", headers=other).text
    assert "year_from 2009" in client.get("/reports", headers=ADMIN).text
