{{ config(materialized='view') }}
select
    entry_id,
    domain,
    list,
    entry,
    is_member,
    expires_at,
    changed_at,
    changed_by,
    note
from {{ source('ops', 'rule_list_entries') }}
