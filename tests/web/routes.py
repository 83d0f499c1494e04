"""The routes of the service, with values for their parameters."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

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
}


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """Return method and path of every route."""
    return sorted(
        (method, str(route.path)) for route in iter_route_contexts(app.routes) for method in route.methods or ()
    )
