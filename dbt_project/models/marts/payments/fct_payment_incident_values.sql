{{ config(materialized='view', tags=['results']) }}
select
    incident_id::varchar as incident_id,
    place::integer as place,
    dimension::varchar as dimension,
    value::varchar as value,
    observed::bigint as observed,
    expected::double as expected,
    share::double as share,
    p_value::double as p_value
from {{ source('ml', 'payment_incident_values') }}
