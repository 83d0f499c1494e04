"""What people write about carriers: notes in the state store, ingested into the warehouse by the next run."""

from __future__ import annotations

from datetime import datetime

from quintet.state.recorded import RecordedTable
from quintet.state.store import StateStore

MIGRATIONS = (
    """
    create table if not exists parcel_notes (
        note_id integer primary key,
        carrier text not null,
        written_at text not null,
        written_by text not null,
        note text not null
    ) strict;
    """,
)

RECORDED = (
    RecordedTable(
        "parcel_notes",
        "parcels",
        "Every note that a person wrote about a carrier.",
        {
            "note_id": "bigint",
            "carrier": "varchar",
            "written_at": "timestamp",
            "written_by": "varchar",
            "note": "varchar",
        },
    ),
)


def record_note(store: StateStore, carrier: str, written_at: datetime, written_by: str, note: str) -> int:
    """Add a note; return its number. written_at: with its zone."""
    with store.write() as connection:
        ((note_id,),) = connection.execute(
            "insert into parcel_notes (carrier, written_at, written_by, note) values (?, ?, ?, ?) returning note_id",
            (carrier, written_at.isoformat(), written_by, note),
        ).fetchall()
        return int(note_id)
