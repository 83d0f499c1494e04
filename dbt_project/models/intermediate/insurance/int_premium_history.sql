{{ config(materialized='view') }}
select
    agency_id,
    prod_line,
    year,
    months_covered,
    sum(written_premium)::double as written_premium,
    -- exact, so that the order of rows does not matter
    sum((written_premium * greatest(months_covered / months, 1))::decimal(18, 4))::double as annualised_premium,
    sum(prev_written_premium)::double as prev_written_premium,
    sum(new_business_premium)::double as new_business_premium,
    sum(earned_premium)::double as earned_premium,
    sum(incurred_losses)::double as incurred_losses,
    sum(policies_in_force)::double as policies_in_force,
    sum(prev_policies_in_force)::double as prev_policies_in_force,
    sum(retained_policies) filter (where prev_policies_in_force is not null)::double as retained_policies
from {{ ref('int_agency_performance_current') }}
join {{ ref('int_years') }} using (year)
-- other years are mistyped, or have just begun to arrive
where is_complete or incomplete_reason = 'short'
group by agency_id, prod_line, year, months_covered
