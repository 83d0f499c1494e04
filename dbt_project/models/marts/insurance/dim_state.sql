select
    state_abbr,
    count(distinct agency_id) as agencies,
    min(year) as first_year,
    max(year) as last_year
from {{ ref('fct_agency_performance') }}
group by state_abbr
