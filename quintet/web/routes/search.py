"""Search over everything that a key may read: agencies, users, clicks, applications, incidents, tables."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from quintet.domains import DOMAINS
from quintet.search import FEWEST_LETTERS, LONGEST, Hit, search, search_tables
from quintet.state.keys import Key
from quintet.web.addresses import prefix_of
from quintet.web.answers import to_json
from quintet.web.pages.shell import show_snapshot
from quintet.web.pipeline_contexts import SearchContext
from quintet.web.row_access import restricted_by
from quintet.web.security import guarded_router
from quintet.web.service import service_of
from quintet.web.snapshots import Snapshot

api = guarded_router(None, prefix="/v1", tags=["search"])
pages = guarded_router(None, include_in_schema=False)

PATH = "/search"
_MOST = 20


class SearchQuery(BaseModel):
    """What is searched for."""

    model_config = ConfigDict(extra="forbid")

    q: str = Field(
        min_length=FEWEST_LETTERS,
        max_length=LONGEST,
        description="An id or its beginning, or a part of a table's name.",
        examples=["470"],
    )
    limit: int = Field(_MOST, ge=1, le=100, description="Most hits of a kind.")


class HitAnswer(BaseModel):
    """Something that was found."""

    kind: str = Field(examples=["agency"])
    id: str = Field(examples=["470"])
    page: str = Field(description="The address of its page.", examples=["/insurance/agencies/470"])
    words: str = Field(description="What it is.")


class SearchAnswer(BaseModel):
    """What was found; never more than one page."""

    items: list[HitAnswer]
    next_page_token: str | None = None
    snapshot: str = Field(examples=["20260101T040000-1a2b3c4d"])


@api.get("/search", response_model=SearchAnswer)
@restricted_by()
def find(request: Request, query: Annotated[SearchQuery, Query()]) -> Response:
    """Find agencies, users, clusters, clicks, applications, clients, incidents and tables by their id or name."""
    service = service_of(request)
    with service.snapshots.read() as snapshot:
        prefix = prefix_of(request)
        items = [asdict(hit) | {"page": prefix + hit.page} for hit in _found(request, snapshot, query.q, query.limit)]
        found = {"items": items, "next_page_token": None, "snapshot": snapshot.snapshot_id}
    # not from the cache of answers, which all keys share
    return Response(to_json(found), media_type="application/json", headers={"cache-control": "no-store"})


@pages.get(PATH)
@restricted_by()
def search_page(request: Request) -> Response:
    """Show what an id or a name finds."""
    text = request.query_params.get("q", "").strip()[:LONGEST]

    def make(snapshot: Snapshot) -> SearchContext:
        by_kind: dict[str, list[Hit]] = {}
        for hit in _found(request, snapshot, text, _MOST) if text else []:
            by_kind.setdefault(hit.kind, []).append(hit)
        return {"text": text, "found": by_kind, "most": _MOST}

    return show_snapshot(request, "search.html", f"Search: {text}" if text else "Search", make)


def _found(request: Request, snapshot: Snapshot, text: str, most: int) -> list[Hit]:
    key: Key = request.state.key
    declared = [one for domain in DOMAINS if key.allows(f"{domain.name}:read") for one in domain.searched]
    hits = list(search(snapshot.cursor, declared, text, most))
    is_same = [hit for hit in hits if hit.id.lower() == text.lower()]
    tables = search_tables(text, most) if key.binding is None else []  # their pages show the whole
    return [*is_same, *(hit for hit in hits if hit not in is_same), *tables]
