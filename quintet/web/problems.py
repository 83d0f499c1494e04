"""Errors of the service as RFC 9457 problem details."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import duckdb
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from quintet.warehouse.snapshot import NoSnapshotError
from quintet.web.snapshots import TookTooLongError

MEDIA_TYPE = "application/problem+json"


class Fault(BaseModel):
    """One thing that is wrong with a request."""

    where: str = Field(examples=["query.year_from"])
    what: str = Field(examples=["Input should be a valid integer"])


class Problem(BaseModel):
    """What went wrong, in the words of RFC 9457."""

    type: str = Field(default="about:blank", examples=["about:blank"])
    title: str = Field(examples=["Unprocessable Entity"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["year_from 2014 is after year_to 2010; swap them"])
    instance: str = Field(examples=["/v1/insurance/summary"])
    request_id: str = Field(examples=["b5d8b9d8c6c94d5ea4b0b8f1a6e6a0a1"])
    errors: list[Fault] = Field(default_factory=list)


class ProblemError(Exception):
    """Ends a request with a problem; `detail` says what is wrong and how to mend it."""

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
        401: "No key, or one that is not known or was revoked.",
        403: "The key does not open this.",
        404: "There is no such thing.",
        408: "The request's body took too long to arrive.",
        413: "The request's body is too large.",
        422: "The request can be read but asks for what cannot be; `errors` names each fault.",
        429: "Too many requests with this key; `Retry-After` says how many seconds to wait.",
        500: "A fault of the service; the log has the request id.",
        503: "Nothing is published yet, or the query took too long.",
    }.items()
}
"""The problems that any route may answer with; `routes/docs.py` declares them with their media type."""


def problem_of(request: Request, error: Exception) -> tuple[Problem, Mapping[str, str] | None]:
    """Any exception as a problem, with headers to send; a fault of our own says nothing of its inside."""
    status, detail, headers = _describe(error)
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
    """Any exception as the answer to this request: a page for who looks with a browser, else problem details."""
    problem, headers = problem_of(request, error)
    make_page = getattr(request.app.state, "problem_page", None) if "app" in request.scope else None
    page = make_page(request, problem) if make_page else None
    if page is None:
        return JSONResponse(problem.model_dump(), problem.status, headers, media_type=MEDIA_TYPE)
    page.headers.update(headers or {})
    return page


def install(app: FastAPI, page: Callable[[Request, Problem], Response | None]) -> None:
    """Make every error of the app a problem; `page` gives it as HTML to who wants that, else None."""
    app.state.problem_page = page

    async def answer(request: Request, error: Exception) -> Response:
        return problem_response(request, error)

    for kind in (
        ProblemError,
        HTTPException,
        NoSnapshotError,
        TookTooLongError,
        duckdb.CatalogException,
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
        case TookTooLongError():
            described = 503, f"{error}; ask for less: fewer years, agencies or pivots"
        case _:
            described = 500, "a fault of the service; the log has the details under this request id"
    return *described, None


def _faults(error: Exception) -> list[Fault]:
    if isinstance(error, ProblemError):
        return error.errors
    if isinstance(error, RequestValidationError):
        return [
            Fault(where=".".join(str(part) for part in found["loc"]), what=found["msg"]) for found in error.errors()
        ]
    return []
