{{ config(materialized='view') }}
select
    dataset,
    file,
    message,
    titles,
    lacking,
    first_rows,
    bytes,
    arrived_at,
    batch_id
from {{ source('ops', 'unread_files') }}
