{{ config(materialized='view') }}
-- Months are how much of the year a row covers, not which month. Single rows begin or end within the year, or err: what
-- most rows cover is how much of the year is in, and of equally many the more.
with counted as (
    select year, months, count(*) as rows
    from {{ ref('int_agency_performance_current') }}
    group by year, months
),

covered as (
    select year, max_by(months, (rows, months)) as months_covered
    from counted
    group by year
)

select
    year,
    months_covered,
    months_covered = 12 as is_complete,
    case
        when months_covered = 12 then year::varchar
        else format('{} ({} months)', year, months_covered)
    end as label
from covered
