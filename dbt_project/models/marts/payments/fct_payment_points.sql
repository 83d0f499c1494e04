{{ config(materialized='view', tags=['results']) }}
select
    series::varchar as series,
    minute_at::timestamp as minute_at,
    score::double as score,
    expected::double as expected,
    observed::bigint as observed,
    window_minutes::integer as window_minutes,
    minute_count::bigint as minute_count,
    lower::double as lower,
    upper::double as upper,
    rule::varchar as rule,
    is_anomalous::boolean as is_anomalous,
    reason::varchar as reason,
    incident_id::varchar as incident_id
from {{ source('ml', 'payment_points') }}
