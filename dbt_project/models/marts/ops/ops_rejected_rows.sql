{{ config(materialized='view') }}
select
    dataset,
    file,
    source_row,
    reason,
    text,
    batch_id
from {{ source('ops', 'rejected_rows') }}
