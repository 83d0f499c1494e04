select
    state_abbr,
    count(distinct agency_id) as agencies,
    coalesce(min(year) filter (where is_plausible), min(year)) as first_year,
    coalesce(max(year) filter (where is_plausible), max(year)) as last_year
from {{ ref('fct_agency_performance') }}
join ({{ plausible_years() }}) using (year)
group by state_abbr
