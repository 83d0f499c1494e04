{{ config(materialized='view') }}
-- Whether a year is complete for an agency, product and state, so that its policies, a stock, stand for a year's end.
-- In a complete year, an agency is incomplete if it was there the year before, still has policies, and no row of it
-- covers twelve months: agencies that end have no policies left, and those that start have no year before. In a year
-- with few rows, the rows of twelve months are complete.
with agency_years as (
    select
        agency_id,
        year,
        max(months) as months,
        coalesce(sum(policies_in_force), 0) as policies,
        coalesce(lag(year) over (partition by agency_id order by year) = year - 1, false) as goes_on
    from {{ ref('int_agency_performance_current') }}
    group by agency_id, year
),

judged as (
    select
        performance.agency_id,
        prod_abbr,
        state_abbr,
        performance.year,
        case
            when years.is_complete then not (agency_years.months < 12 and goes_on and policies > 0)
            when years.incomplete_reason = 'few_rows' then performance.months = 12 and coalesce(before.is_complete, false)
            else false
        end as is_year_complete
    from {{ ref('int_agency_performance_current') }} as performance
    join agency_years using (agency_id, year)
    join {{ ref('int_years') }} as years on years.year = performance.year
    left join {{ ref('int_years') }} as before on before.year = performance.year - 1
)

select
    *,
    min(year) filter (where is_year_complete) over (
        partition by agency_id, prod_abbr, state_abbr
        order by year rows between 1 following and unbounded following
    ) as next_complete_year
from judged
