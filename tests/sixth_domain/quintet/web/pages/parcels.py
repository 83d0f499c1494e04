"""The parcels page, and the route that takes notes."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

from fastapi import Request
from pydantic import BaseModel, Field
from quintet.parcels.settings import ParcelsSettings
from quintet.parcels.store import record_note
from starlette.responses import Response

from quintet.presentation.design import Column
from quintet.web.pages.shell import show_snapshot
from quintet.web.rendering import Table
from quintet.web.security import guarded_router
from quintet.web.service import service_of

_reading = guarded_router("parcels:read", include_in_schema=False)
_writing = guarded_router("parcels:note", prefix="/v1/parcels", tags=["parcels"])
ROUTERS = (_reading, _writing)

_DELAYS = (
    Column("carrier", "Carrier"),
    Column("parcels", "Parcels", "count"),
    Column("median_days", "Days", "decimal"),
)
_NOTES = (Column("carrier", "Carrier"), Column("note", "Note"), Column("written_by", "By"))


class NoteGiven(BaseModel):
    """A note about a carrier."""

    carrier: Annotated[str, Field(min_length=1, max_length=100)]
    note: Annotated[str, Field(max_length=1_000)]


class ParcelsContext(TypedDict):
    """The delays of each carrier, the carriers that are late, and the notes."""

    delays: Table
    late: list[str]
    notes: Table


CONTEXTS = {"parcels.html": ParcelsContext}
"""The context of the page's template."""


class NoteKept(BaseModel):
    """The note as it was kept."""

    note_id: int


@_reading.get("/parcels")
def parcels(request: Request) -> Response:
    """How long do carriers take, and what do people say of them?"""

    most_days = service_of(request).settings.of(ParcelsSettings).parcels_late_days

    def make(snapshot: Any) -> ParcelsContext:
        delays = snapshot.cursor.execute("from marts.fct_carrier_delays order by carrier").df()
        notes = snapshot.cursor.execute("from marts.fct_parcel_notes order by note_id").df()
        return {
            "delays": Table(delays, _DELAYS, "Days from sending to delivery", len(delays)),
            "late": delays.loc[delays["median_days"].gt(most_days), "carrier"].tolist(),
            "notes": Table(notes, _NOTES, "Notes", len(notes)),
        }

    return show_snapshot(request, "parcels.html", "Parcels", make)


@_writing.post("/notes", response_model=NoteKept)
def note(request: Request, given: NoteGiven) -> NoteKept:
    """Keep a note about a carrier; the next run publishes it."""
    service = service_of(request)
    number = record_note(service.store, given.carrier, service.clock(), request.state.key.name, given.note)
    return NoteKept(note_id=number)
