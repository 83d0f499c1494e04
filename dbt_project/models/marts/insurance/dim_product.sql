-- A product belongs to one line; where files disagree, the latest plausible year decides.
select
    prod_abbr,
    max_by(prod_line, (is_plausible, year, prod_line)) as prod_line,
    coalesce(min(year) filter (where is_plausible), min(year)) as first_year,
    coalesce(max(year) filter (where is_plausible), max(year)) as last_year
from {{ ref('fct_agency_performance') }}
join ({{ plausible_years() }}) using (year)
group by prod_abbr
