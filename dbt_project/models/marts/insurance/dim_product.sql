-- A product belongs to one line; where files disagree, the latest year decides.
select
    prod_abbr,
    max_by(prod_line, (year, prod_line)) as prod_line,
    min(year) as first_year,
    max(year) as last_year
from {{ ref('fct_agency_performance') }}
group by prod_abbr
