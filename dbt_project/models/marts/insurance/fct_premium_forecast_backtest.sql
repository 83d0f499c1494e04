{{ config(materialized='view', tags=['results']) }}
select
    model::varchar as model,
    origin_year::integer as origin_year,
    year::integer as year,
    agency_id::bigint as agency_id,
    prod_line::varchar as prod_line,
    premium::double as premium,
    actual::double as actual,
    forecast::double as forecast,
    lo80::double as lo80,
    hi80::double as hi80,
    lo95::double as lo95,
    hi95::double as hi95
from {{ source('ml', 'premium_forecast_backtest') }}
