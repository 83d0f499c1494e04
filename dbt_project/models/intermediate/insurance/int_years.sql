{{ config(materialized='view') }}
-- months is the number of months that a row covers, not a month number. Single rows start or end within the year, or are
-- wrong: the most frequent value is the coverage of the year, the larger one of ties.
-- A year of twelve months is complete if its rows are more than half of those usual before it: a first delivery of a new
-- year, or a mistyped year, is neither the last complete year nor the origin of a forecast.
with counted as (
    select year, months, count(*) as rows
    from {{ ref('int_agency_performance_current') }}
    group by year, months
),

covered as (
    select
        year,
        max_by(months, (rows, months)) as months_covered,
        sum(rows)::bigint as rows,
        year > (
            select max(year(arrived_at)) from {{ source('ops', 'batches') }} where dataset = 'agency_performance'
        ) as is_future
    from counted
    group by year
),

compared as (
    select
        *,
        median(rows) filter (where months_covered = 12 and not is_future)
            over (order by year rows between 3 preceding and 1 preceding) as rows_before,
        median(rows) filter (where months_covered = 12 and not is_future)
            over (order by year rows between 1 following and 3 following) as rows_after,
        coalesce(lag(year) over (order by year) = year - 1 or lead(year) over (order by year) = year + 1, false)
            as has_neighbour
    from covered
),

judged as (
    select
        year,
        months_covered,
        rows,
        rows_before as usual_rows,
        case
            when is_future then 'future'
            when not has_neighbour and 2 * rows <= coalesce(rows_before, rows_after) then 'detached'
            when months_covered < 12 then 'short'
            when 2 * rows <= rows_before then 'few_rows'
        end as incomplete_reason
    from compared
)

select
    year,
    months_covered,
    rows,
    usual_rows,
    incomplete_reason is null as is_complete,
    incomplete_reason,
    case incomplete_reason
        when 'short' then format('{} ({} months)', year, months_covered)
        when 'few_rows' then format('{} (few rows)', year)
        when 'future' then format('{} (in the future)', year)
        when 'detached' then format('{} (on its own)', year)
        else year::varchar
    end as label
from judged
