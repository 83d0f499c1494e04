{{ config(materialized='view', tags=['results']) }}
select
    incident_id::varchar as incident_id,
    series::varchar as series,
    started_at::timestamp as started_at,
    detected_at::timestamp as detected_at,
    ended_at::timestamp as ended_at,
    severity::varchar as severity,
    peak_score::double as peak_score,
    expected::double as expected,
    observed::bigint as observed,
    rule::varchar as rule,
    window_minutes::integer as window_minutes,
    group_id::varchar as group_id,
    fingerprint::varchar as fingerprint,
    reason::varchar as reason
from {{ source('ml', 'payment_incidents') }}
