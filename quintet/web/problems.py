"""Errors of the service as RFC 9457 problem details."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import duckdb
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from quintet.state.faults import STATE_FAULTS, StateUnavailableError, UnstorableValueError
from quintet.warehouse.snapshot import NoSnapshotError
from quintet.web.snapshots import TookTooLongError

MEDIA_TYPE = "application/problem+json"

_LOG = structlog.get_logger()


class Fault(BaseModel):
    """One fault of a request."""

    where: str = Field(examples=["query.year_from"])
    what: str = Field(examples=["Input should be a valid integer"])


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str = Field(default="about:blank", examples=["about:blank"])
    title: str = Field(examples=["Unprocessable Entity"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["year_from 2014 is after year_to 2010; swap them"])
    instance: str = Field(examples=["/v1/insurance/summary"])
    request_id: str = Field(examples=["b5d8b9d8c6c94d5ea4b0b8f1a6e6a0a1"])
    errors: list[Fault] = Field(default_factory=list)


RETRY_SECONDS = 5
"""When a request may be sent again that failed because the state store cannot be used."""

_LATER = {"Retry-After": str(RETRY_SECONDS)}


class ProblemError(Exception):
    """Ends a request with a problem; `detail` says what is wrong and how to fix it."""

    def __init__(
        self,
        status: int,
        detail: str,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Fault] = (),
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.errors = status, detail, headers, list(errors)


DECLARED: dict[int | str, dict[str, Any]] = {
    status: {"description": description, "model": Problem}
    for status, description in {
        400: "The request cannot be read.",
        401: "The key is missing, unknown or revoked.",
        403: "The key lacks the scope.",
        404: "Not found.",
        408: "The request's body took too long to arrive.",
        413: "The request's body is too large.",
        422: "The request is invalid; `errors` names each fault.",
        429: "Too many requests with this key; `Retry-After` has the seconds to wait.",
        500: "Internal error; the log has the request id.",
        503: "No snapshot is published yet, or the query took too long.",
    }.items()
}
"""The problems of any route; `routes/docs.py` declares their media type."""


def problem_of(request: Request, error: Exception) -> tuple[Problem, Mapping[str, str] | None]:
    """Convert any exception into a problem and headers; an internal error reveals no details."""
    status, detail, headers = _describe(error)
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {"allow": ", ".join(_methods_of(request))}
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=request.url.path,
        request_id=str(request.scope.get("state", {}).get("request_id", "")),
        errors=_faults(error),
    )
    return problem, headers


def problem_response(request: Request, error: Exception) -> Response:
    """Convert any exception into the answer to this request: a page for browsers, else problem details."""
    problem, headers = problem_of(request, error)
    make_page = getattr(request.app.state, "problem_page", None) if "app" in request.scope else None
    page = make_page(request, problem) if make_page else None
    if page is None:
        return JSONResponse(problem.model_dump(), problem.status, headers, media_type=MEDIA_TYPE)
    page.headers.update(headers or {})
    return page


def install(app: FastAPI, page: Callable[[Request, Problem], Response | None]) -> None:
    """Answer every error of the app with a problem; `page` renders it as HTML, or returns None."""
    app.state.problem_page = page

    async def answer(request: Request, error: Exception) -> Response:
        if isinstance(error, (*STATE_FAULTS, duckdb.IOException)):
            _LOG.error("a file cannot be used", error=str(error), path=request.url.path)
        return problem_response(request, error)

    for kind in (
        ProblemError,
        HTTPException,
        NoSnapshotError,
        TookTooLongError,
        duckdb.CatalogException,
        duckdb.IOException,
        sqlite3.DatabaseError,
        StateUnavailableError,
        UnstorableValueError,
        RequestValidationError,
    ):
        app.add_exception_handler(kind, answer)


def _describe(error: Exception) -> tuple[int, str, Mapping[str, str] | None]:
    match error:
        case ProblemError():
            return error.status, error.detail, error.headers
        case HTTPException():
            return error.status_code, str(error.detail), error.headers
        case RequestValidationError():
            described = 422, "; ".join(f"{fault.where}: {fault.what}" for fault in _faults(error))
        case NoSnapshotError():
            described = 503, "nothing is published yet: run `make run`, which builds a snapshot and publishes it"
        case duckdb.CatalogException():
            described = 503, "this part has not been built yet: run `make run`, which builds and publishes all of it"
        case duckdb.IOException():
            described = (
                503,
                "the published snapshot cannot be read; see the service's log, and publish again: `make run`",
            )
        case sqlite3.OperationalError():
            return 503, "the service cannot read or write its state now (disk full or read-only?); see its log", _LATER
        case UnstorableValueError():
            described = 422, f"a value cannot be stored: {error}; nothing was written"
        case StateUnavailableError():
            return 503, "the database with the service's state does not answer; nothing was written, try again", _LATER
        case sqlite3.DatabaseError() if type(error) is sqlite3.DatabaseError:
            described = 503, "the file with the service's state is damaged; see its log, and restore it from a backup"
        case TookTooLongError():
            described = 503, f"{error}; ask for less: fewer years, agencies or pivots"
        case _:
            described = 500, "an internal error; the log has the details under this request id"
    return *described, None


def _methods_of(request: Request) -> list[str]:
    """Return the methods of all routes of a path; each of them is a route of its own."""
    routes = [route for route in request.app.router.routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in routes for method in getattr(route, "methods", None) or ()})


def _faults(error: Exception) -> list[Fault]:
    if isinstance(error, ProblemError):
        return error.errors
    if isinstance(error, RequestValidationError):
        return [
            Fault(where=".".join(str(part) for part in found["loc"]), what=found["msg"]) for found in error.errors()
        ]
    return []
