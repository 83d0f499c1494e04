"""Which cases a key may see and change, and the problems that a change can meet."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import duckdb
from fastapi import Request

from quintet.cases import store as case_store
from quintet.cases.changes import Author, ConflictError, UnknownCaseError
from quintet.cases.kind import CaseKind, Choice, UnusableVerdictError
from quintet.cases.store import Case, CaseFilter
from quintet.domains import CASE_KINDS
from quintet.state.keys import Key
from quintet.state.store import StateStore
from quintet.warehouse.snapshot import NoSnapshotError
from quintet.web.problems import ProblemError
from quintet.web.service import service_of

READ, DECIDE = "cases:read", "cases:decide"

MOST_COUNTED = 1_000
"""Cases that the navigation counts; more are shown as this number with a plus."""


def kinds_of(key: Key) -> Mapping[tuple[str, str], CaseKind]:
    """Return the kinds of cases of the businesses that a key may read."""
    return {name: kind for name, kind in CASE_KINDS.items() if key.allows(f"{kind.domain}:read")}


def case_of(request: Request, case_id: str) -> Case:
    """Return a case that the request's key may see. Raises ProblemError 404 for an unknown one, 403 for another's."""
    found = case_store.find(service_of(request).store.read(), case_id)
    if found is None:
        raise ProblemError(404, f"there is no case {case_id}; `GET /v1/cases` lists those there are")
    if (found.domain, found.kind) not in kinds_of(request.state.key):
        raise ProblemError(
            403, f"the key of {request.state.key.name} lacks the scope {found.domain}:read; use a key that has it"
        )
    return found


def choices_of(request: Request, case: Case) -> Sequence[Choice]:
    """Return what a verdict on a case can choose, by the current snapshot; nothing before its business is built."""
    try:
        with service_of(request).snapshots.read() as snapshot:
            return CASE_KINDS[case.domain, case.kind].choices(snapshot.cursor, case.subject_id)
    except (NoSnapshotError, duckdb.CatalogException):
        return ()


def count_waiting(store: StateStore, key: Key | None, now: dt.datetime) -> str:
    """Return the number of waiting cases that a key may see, in words for the navigation; empty for none."""
    if key is None or not key.allows(READ):
        return ""
    number = case_store.count_up_to(store, CaseFilter(tuple(kinds_of(key))), now, MOST_COUNTED)
    return "" if number == 0 else f"{MOST_COUNTED:,}+" if number == MOST_COUNTED else f"{number:,}"


def author(request: Request, request_key: str | None = None) -> Author:
    """Return the request's key as the author of a change."""
    return Author(request.state.key.name, service_of(request).clock(), request_key)


@contextmanager
def as_problems() -> Iterator[None]:
    """Report what a change of a case raises as a problem of the request."""
    try:
        yield
    except UnknownCaseError as error:
        raise ProblemError(404, str(error.args[0])) from None
    except ConflictError as error:
        raise ProblemError(409, str(error)) from None
    except UnusableVerdictError as error:
        raise ProblemError(422, str(error)) from None
