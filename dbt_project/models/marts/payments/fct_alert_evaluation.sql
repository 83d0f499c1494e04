{{ config(materialized='view', tags=['results']) }}
select
    detector::varchar as detector,
    scope::varchar as scope,
    days::integer as days,
    incidents::integer as incidents,
    found::integer as found,
    recall::double as recall,
    false_episodes::integer as false_episodes,
    false_episodes_per_day::double as false_episodes_per_day,
    delay_minutes_median::double as delay_minutes_median,
    delay_minutes_p90::double as delay_minutes_p90
from {{ source('ml', 'alert_evaluation') }}
