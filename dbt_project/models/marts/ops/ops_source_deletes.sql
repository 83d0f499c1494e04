{{ config(materialized='view') }}
-- Rows of marts stay when the source deletes them: a closed account is still evidence.
select
    dataset,
    key,
    seen_at,
    deleted_at
from {{ source('ops', 'source_rows') }}
where deleted_at is not null
