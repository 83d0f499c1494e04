{{ config(materialized='view') }}
-- months is the number of months that a row covers, not a month number. Single rows start or end within the year, or are
-- wrong: the most frequent value is the coverage of the year, the larger one of ties.
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
