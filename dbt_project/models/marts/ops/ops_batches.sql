{{ config(materialized='view') }}
-- A view, because batches are marked as modelled only after the models have run.
select
    dataset,
    file,
    content_sha256,
    rows,
    loaded,
    rejected,
    status,
    loaded_at as at,
    batch_id,
    format,
    bytes,
    message,
    arrived_at,
    file_date,
    file_number,
    effective_date,
    modelled_at,
    mapping
from {{ source('ops', 'batches') }}
