"""The routes of the service, with values for their parameters."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from quintet import web
from quintet.web.routes.docs import document

OPEN = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("POST", "/sign-out"),
    ("GET", "/static/{version}/{name}"),
    ("HEAD", "/static/{version}/{name}"),
}
"""Routes that need no key."""

PARAMETERS = {
    "agency_id": "1",
    "name": "x",
    "incident_id": "0" * 12,
    "silence_id": "1",
    "day": "2024-01-01",
    "client_id": "1",
    "page": "x",
    "application_id": "1",
    "conversion_id": "1",
    "case_id": "0" * 16,
    "schedule_id": "1",
}


_WEB = Path(web.__file__).parent
_READ = re.compile(r"""(?:query_params|form|given|known)\.(?:get|getlist)\("(\w+)\"""")
_FIELD = re.compile(r"""\bname="(\w+)\"""")


def names(app: FastAPI) -> set[str]:
    """Return the names of all parameters and fields: of the document, of the code that reads them, and of forms."""
    described = document(app)
    found = {
        part["name"]
        for path in described["paths"].values()
        for op in path.values()
        for part in op.get("parameters", [])
    }
    found |= {name for model in described["components"]["schemas"].values() for name in model.get("properties", {})}
    found |= {name for file in _WEB.rglob("*.py") for name in _READ.findall(file.read_text("utf-8"))}
    found |= {name for file in _WEB.rglob("*.html") for name in _FIELD.findall(file.read_text("utf-8"))}
    for route in iter_route_contexts(app.routes):
        dependant = getattr(route, "dependant", None)
        if dependant is not None:
            found |= {field.alias for field in (*dependant.query_params, *dependant.body_params)}
    return found


def pages(app: FastAPI) -> list[str]:
    """Return the paths of all pages for people, with their parameters as `{name}`."""
    no_pages = ("/v1", "/static", "/healthz", "/readyz", "/metrics", "/openapi", "/sign-in", "/docs")
    return sorted(
        path
        for method, path in routes(app)
        if method == "GET" and not path.startswith(no_pages) and "{name}" not in path and not path.endswith(".csv")
    )


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """Return method and path of every route."""
    return sorted(
        (method, re.sub(r":path}", "}", str(route.path)))
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ()
    )
