{{ config(materialized='view') }}
-- A view: always up to date with the conversions, at no cost per batch.
with unmapped_codes as (
    select measurement_category, count(*) as conversion_ids, bool_or(is_scanner_traffic) as is_scanner_traffic
    from {{ ref('int_conversions') }}
    where page_category is null and measurement_category is not null
    group by measurement_category
),

-- A conversion with two countries in a file counts twice; repeated rows change no count.
read_conversions as (
    select distinct conversion_id, country_name, measurement_category
    from {{ ref('stg_conversions') }}
    semi join unmapped_codes using (measurement_category)
)

select
    measurement_category,
    count(*) as conversions,
    any_value(conversion_ids) as conversion_ids,
    any_value(is_scanner_traffic) as is_scanner_traffic
from read_conversions
join unmapped_codes using (measurement_category)
group by measurement_category
