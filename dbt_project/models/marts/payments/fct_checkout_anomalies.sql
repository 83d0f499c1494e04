{{ config(materialized='view', tags=['results']) }}
select
    source_file::varchar as source_file,
    hour::integer as hour,
    observed::bigint as observed,
    expected::double as expected,
    p_value::double as p_value,
    direction::varchar as direction,
    is_anomalous::boolean as is_anomalous,
    reason::varchar as reason
from {{ source('ml', 'checkout_anomalies') }}
