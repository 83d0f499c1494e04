{{ config(materialized='view') }}
select
    entry_id,
    recorded_at,
    actor,
    actor_id,
    action,
    subject,
    outcome,
    entry_sha256
from {{ source('ops', 'audit') }}
