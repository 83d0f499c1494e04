"""Problems: each kind of error has its status, says what to do, and reveals nothing of the inside."""

from __future__ import annotations

import duckdb
import pytest
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.testclient import TestClient

from quintet.warehouse.snapshot import NoSnapshotError
from quintet.web import problems
from quintet.web.problems import MEDIA_TYPE, Fault, ProblemError, problem_of, problem_response
from quintet.web.snapshots import TookTooLongError

REQUEST = Request({"type": "http", "method": "GET", "path": "/a", "query_string": b"", "headers": []})
INVALID = RequestValidationError([{"loc": ("query", "year"), "msg": "Input should be a valid integer"}])


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ProblemError(409, "it was sent before"), 409, "it was sent before"),
        (HTTPException(404, "Not Found"), 404, "Not Found"),
        (INVALID, 422, "query.year: Input should be a valid integer"),
        (NoSnapshotError("/home/secret"), 503, "run `make run`"),
        (duckdb.CatalogException("Table marts.secret"), 503, "has not been built yet"),
        (TookTooLongError("the query took longer than 10 s"), 503, "ask for less"),
        (ZeroDivisionError("secret"), 500, "the log has the details under this request id"),
    ],
)
def test_an_error_has_its_status_and_says_what_to_do(error: Exception, status: int, said: str) -> None:
    problem, _ = problem_of(REQUEST, error)

    assert (problem.status, problem.instance) == (status, "/a")
    assert said in problem.detail
    assert "secret" not in problem.model_dump_json()


def test_faults_are_listed_with_their_places() -> None:
    given = ProblemError(422, "two faults", errors=[Fault(where="a", what="no"), Fault(where="b", what="no")])

    assert [fault.where for fault in problem_of(REQUEST, given)[0].errors] == ["a", "b"]
    assert [fault.where for fault in problem_of(REQUEST, INVALID)[0].errors] == ["query.year"]
    assert problem_of(REQUEST, ZeroDivisionError())[0].errors == []


def test_a_program_gets_problem_details_with_the_headers_of_the_error() -> None:
    answer = problem_response(REQUEST, ProblemError(503, "later", {"retry-after": "5"}))

    assert (answer.status_code, answer.headers["content-type"]) == (503, MEDIA_TYPE)
    assert answer.headers["retry-after"] == "5"


def test_a_method_that_no_route_of_a_path_has_is_answered_with_those_that_there_are() -> None:
    app = FastAPI()
    problems.install(app, lambda *_: None)
    for method in ("GET", "POST"):
        app.add_api_route("/a/{name}", lambda: None, methods=[method])
    app.add_api_route("/b", lambda: None, methods=["PUT"])
    client = TestClient(app)
    answers = {path: client.delete(path) for path in ("/a/1", "/b")}
    assert {path: one.status_code for path, one in answers.items()} == {"/a/1": 405, "/b": 405}
    assert {path: one.headers["allow"] for path, one in answers.items()} == {"/a/1": "GET, POST", "/b": "PUT"}
