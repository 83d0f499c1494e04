select note_id, carrier, written_at, written_by, note from {{ source('ops', 'parcel_notes') }}
