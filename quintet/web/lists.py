"""Lists over HTTP: how a page is asked for and what it says besides its items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from quintet.web.paging import DEFAULT_PAGE_SIZE, LARGEST_PAGE_SIZE
from quintet.web.service import service_of

Page = tuple[Sequence[Mapping[Any, Any]], Sequence[Any] | None]
"""The items, and the key of the last one, None on the last page."""


def split_values(values: Any) -> Any:
    """`a,b` beside `c` as a, b, c: a list may be repeated or separated by commas."""
    if not isinstance(values, list):
        return values
    return [part for value in values for part in (value.split(",") if isinstance(value, str) else [value])]


class PageQuery(BaseModel):
    """Which page of a list."""

    model_config = ConfigDict(extra="forbid")

    page_size: int = Field(DEFAULT_PAGE_SIZE, ge=1, le=LARGEST_PAGE_SIZE, description="Most items in the answer.")
    page_token: str | None = Field(
        None, max_length=4_000, description="`next_page_token` of the page before; leave it out for the first."
    )


class Listed(BaseModel):
    """A page of a list, from one snapshot."""

    next_page_token: str | None = Field(description="Hand it back as `page_token`; null on the last page.")
    snapshot: str = Field(examples=["20260101T040000-1a2b3c4d"])


def answer_list(
    request: Request,
    query: PageQuery,
    fetch: Callable[[Any, tuple[Any, ...] | None], Page],
    beside: Callable[[Any], Mapping[str, Any]] = lambda _: {},
) -> Response:
    """One page of a list as the answer.

    fetch: from a cursor and the key to go on from to rows and the last key. beside: what the answer says besides.
    """
    service = service_of(request)
    question = {"route": request.url.path, **query.model_dump(exclude={"page_size", "page_token"})}
    after = service.tokens.read(question, query.page_token)
    with service.snapshots.read() as snapshot:

        def make() -> dict[str, Any]:
            items, last = fetch(snapshot.cursor, after)
            return {
                "items": items,
                "next_page_token": service.tokens.make(question, last),
                "snapshot": snapshot.snapshot_id,
                **beside(snapshot.cursor),
            }

        answer: Response = service.answers.json(request, snapshot, make)
        return answer
