{{ config(materialized='view', tags=['results']) }}
select
    model::varchar as model,
    year::integer as year,
    is_chosen::boolean as is_chosen,
    n::bigint as n,
    wape::double as wape,
    wape_vs_naive::double as wape_vs_naive,
    bias::double as bias,
    coverage80::double as coverage80,
    coverage95::double as coverage95,
    mean_width80::double as mean_width80,
    mean_width95::double as mean_width95,
    explanation::varchar as explanation
from {{ source('ml', 'premium_forecast_scores') }}
