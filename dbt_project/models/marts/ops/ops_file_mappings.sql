{{ config(materialized='view') }}
select
    mapping_id,
    dataset,
    shape,
    column_name,
    given,
    known,
    is_active,
    decided_at,
    decided_by,
    case_id
from {{ source('ops', 'file_mappings') }}
