{{ config(materialized='view') }}
select
    change_id,
    domain,
    action,
    version,
    content,
    changed_at,
    changed_by,
    note
from {{ source('ops', 'rule_changes') }}
