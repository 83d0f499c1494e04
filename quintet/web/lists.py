"""Paged lists over HTTP: their query parameters and their answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from quintet.web.addresses import route_path
from quintet.web.paging import DEFAULT_PAGE_SIZE, LARGEST_PAGE_SIZE
from quintet.web.service import service_of

Page = tuple[Sequence[Mapping[Any, Any]], Sequence[Any] | None]
"""The items and the key of the last one, None on the last page."""


def split_values(values: Any) -> Any:
    """Split repeated and comma-separated values: `a,b` and `c` become a, b, c.

    Raises ValueError for true and false, which JSON may have, and which would count as 1 and 0.
    """
    if not isinstance(values, list):
        return values
    if any(isinstance(value, bool) for value in values):
        raise ValueError("true and false are no values of a filter")
    return [part for value in values for part in (value.split(",") if isinstance(value, str) else [value])]


class PageQuery(BaseModel):
    """Which page of a list."""

    model_config = ConfigDict(extra="forbid")

    page_size: int = Field(DEFAULT_PAGE_SIZE, ge=1, le=LARGEST_PAGE_SIZE, description="Maximum number of items.")
    page_token: str | None = Field(
        None, max_length=4_000, description="`next_page_token` of the previous page; omit it for the first page."
    )


class Listed(BaseModel):
    """A page of a list, from one snapshot."""

    next_page_token: str | None = Field(description="Send it as `page_token`; null on the last page.")
    snapshot: str = Field(examples=["20260101T040000-1a2b3c4d"])


def answer_list(
    request: Request,
    query: PageQuery,
    fetch: Callable[[Any, tuple[Any, ...] | None], Page],
    extra: Callable[[Any], Mapping[str, Any]] = lambda _: {},
) -> Response:
    """Answer with one page of a list.

    fetch: takes a cursor and the key to continue after, returns rows and the last key. extra: further fields.
    """
    service = service_of(request)
    question = {"route": route_path(request), **query.model_dump(exclude={"page_size", "page_token"})}
    after = service.tokens.read(question, query.page_token)
    with service.snapshots.read() as snapshot:

        def make() -> dict[str, Any]:
            items, last = fetch(snapshot.cursor, after)
            return {
                "items": items,
                "next_page_token": service.tokens.make(question, last),
                "snapshot": snapshot.snapshot_id,
                **extra(snapshot.cursor),
            }

        answer: Response = service.answers.json(request, snapshot, make)
        return answer
