"""Every value of every request has bounds, which the OpenAPI document states."""

from __future__ import annotations

import datetime as dt
import importlib
import inspect
from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
from fastapi import APIRouter, FastAPI, Path, Query
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from pydantic import BaseModel, Field

from quintet.domains import DOMAINS
from quintet.web.pages import overview, sign_in
from quintet.web.routes.docs import document
from quintet.web.times import BusinessDay


def faults_of(described: dict[str, Any]) -> list[str]:
    """Return the places of the document's requests where a value has no bounds."""
    faults = []
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            for parameter in operation.get("parameters", ()):
                faults += _unbounded(parameter["schema"], described, f"{where} {parameter['name']}")
            for content in operation.get("requestBody", {}).get("content", {}).values():
                faults += _unbounded(content["schema"], described, f"{where} body")
    return faults


def _unbounded(schema: dict[str, Any], described: dict[str, Any], where: str) -> Iterator[str]:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        yield from _unbounded(described["components"]["schemas"][name], described, where)
        return
    for kind in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(kind, ()):
            yield from _unbounded(one, described, where)
    for name, one in schema.get("properties", {}).items():
        yield from _unbounded(one, described, f"{where}.{name}")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _unbounded(schema["additionalProperties"], described, f"{where}.*")
        if not {"maxLength", "pattern"} & schema.get("propertyNames", {}).keys():
            yield f"{where}: names of any length"
    if "items" in schema:
        yield from _unbounded(schema["items"], described, f"{where}[]")
    if not schema.keys() & {"enum", "const"}:
        yield from _without_bounds(schema, where)


def _without_bounds(schema: dict[str, Any], where: str) -> Iterator[str]:
    match schema.get("type"):
        case "integer" | "number":
            if not (
                schema.keys() & {"minimum", "exclusiveMinimum"} and schema.keys() & {"maximum", "exclusiveMaximum"}
            ):
                yield f"{where}: a number without a smallest and a largest value"
        case "string" if schema.get("format") in ("date", "date-time", "time", "duration"):
            if not {"formatMinimum", "formatMaximum"} <= schema.keys():
                yield f"{where}: a {schema['format']} without a first and a last one; use quintet.web.times"
        case "string":
            if not {"maxLength", "pattern"} & schema.keys():
                yield f"{where}: a text of any length"
        case "array":
            if "maxItems" not in schema:
                yield f"{where}: a list of any length"


def test_every_value_of_a_request_has_bounds(app: FastAPI) -> None:
    described = document(app)

    assert faults_of(described) == []
    assert len(described["paths"]) > 20


class _Body(BaseModel):
    day: dt.date
    moment: dt.datetime | None = None
    count: int = Field(ge=0)
    share: float = Field(le=1)
    text: str = "x"
    many: list[BusinessDay] = Field(default_factory=list)
    figures: dict[str, Annotated[int, Field(ge=0, le=1)]] = Field(default_factory=dict, max_length=3)


def test_a_value_without_bounds_is_found() -> None:
    app = FastAPI()

    @app.post("/things/{number}")
    def things(number: int, body: _Body, since: Annotated[dt.date | None, Query()] = None) -> None:
        raise AssertionError((number, body, since))

    faults = faults_of(app.openapi())
    places = {fault.split(": ")[0].removeprefix("post /things/{number} ") for fault in faults}
    body = {"day", "moment", "count", "share", "text", "many", "figures"}
    assert places == {"number", "since", *(f"body.{name}" for name in body)}


def unbounded_of(route: APIRoute) -> list[str]:
    """Return the numbers and times in the address of a page that have no bounds."""
    hints = get_type_hints(route.endpoint, include_extras=True)
    hints.pop("return", None)
    faults = []
    for name, hint in hints.items():
        kind, extras = (get_args(hint)[0], get_args(hint)[1:]) if get_origin(hint) is Annotated else (hint, ())
        bounds = {type(one).__name__ for extra in extras for one in getattr(extra, "metadata", ())}
        is_bounded = bounds >= {"Ge", "Le"}
        if inspect.isclass(kind) and issubclass(kind, int | float | dt.date) and kind is not bool and not is_bounded:
            faults.append(f"{route.path} {name}")
    return faults


def test_every_number_in_the_address_of_a_page_has_bounds() -> None:
    assert [fault for route in pages() for fault in unbounded_of(route)] == []
    assert len(pages()) > 20


def test_a_number_without_bounds_in_the_address_of_a_page_is_found() -> None:
    router = APIRouter()

    def page(number: int, other: Annotated[int, Path(ge=0, le=9)], text: str, is_on: bool = False) -> None:
        raise AssertionError((number, other, text, is_on))

    router.get("/pages/{number}/{other}/{text}")(page)
    (route,) = router.routes
    assert isinstance(route, APIRoute)
    assert unbounded_of(route) == ["/pages/{number}/{other}/{text} number"]


def pages() -> list[APIRoute]:
    """Return the routes that answer with pages or files, of all domains and of the service itself."""
    modules = [importlib.import_module(name) for domain in DOMAINS for name in domain.web]
    routers = [overview.router, sign_in.router, *(router for module in modules for router in module.ROUTERS)]
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    return [route for route in routes if not route.include_in_schema]


NUMBER = "9" * 5_000


@pytest.mark.parametrize(
    ("method", "path", "form"),
    [
        ("get", f"/insurance/agencies/{2**63}", None),
        ("get", f"/insurance/agencies/{NUMBER}", None),
        ("get", f"/insurance?agency={NUMBER}", None),
        ("get", f"/lending/decisions?application={NUMBER}", None),
        ("get", f"/promotions?threshold={NUMBER}", None),
        ("get", f"/v1/lending/clients/{NUMBER}/features", None),
        ("get", "/v1/lending/clients/7/features?as_of=9999-12-31", None),
        ("get", "/v1/conversions/matches?since=0001-01-01T00:00:00%2B14:00", None),
        ("get", "/v1/conversions/matches?since=2024-05-02&until=2024-05-01", None),
        ("get", "/v1/payments/minutes?until=9999-12-31T23:59:59-14:00", None),
        ("get", "/v1/payments/minutes?since=2024-05-02&until=2024-05-01", None),
        ("post", f"/payments/silences/{2**64}/end", {}),
        ("post", "/payments/silences", {"minutes": NUMBER}),
        ("post", "/payments/silences", {"minutes": "60", "series": "x\x00" * 40}),
        ("post", "/promotions/labels", {"user_id": "u" * 5_000, "verdict": "abuser"}),
        ("post", "/promotions/try", {"user_id": "u", "created_at": "9999-12-31T23:59:59-14:00"}),
        ("post", "/promotions/try", {"user_id": "u", "dob": "2099-01-01"}),
    ],
)
def test_a_value_out_of_bounds_is_the_clients_fault(
    client: TestClient, method: str, path: str, form: dict[str, str] | None
) -> None:
    same_site = {"sec-fetch-site": "same-origin"}
    answer = client.request(method, path, data=form, headers=same_site, follow_redirects=False)

    assert answer.status_code in ((200,) if path.startswith(("/insurance?", "/lending/", "/promotions?")) else (422,))
