{{ config(materialized='view', tags=['results']) }}
select
    detector::varchar as detector,
    world::varchar as world,
    series::varchar as series,
    kind::varchar as kind,
    during::varchar as during,
    started_at::timestamp as started_at,
    is_found::boolean as is_found,
    delay_minutes::double as delay_minutes
from {{ source('ml', 'alert_evaluation_incidents') }}
