{{ config(materialized='view', tags=['results']) }}
select
    carrier::varchar as carrier,
    parcels::bigint as parcels,
    median_days::double as median_days,
    most_days::double as most_days
from {{ source('ml_parcels', 'parcel_delays') }}
