select
    spelling,
    country_iso2,
    method,
    confidence
from {{ source('frames', 'stg_country_names') }}
