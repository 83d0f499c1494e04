-- A product belongs to one line; should files disagree, the latest year says which.
select
    prod_abbr,
    max_by(prod_line, (year, prod_line)) as prod_line,
    min(year) as first_year,
    max(year) as last_year
from {{ ref('fct_agency_performance') }}
group by prod_abbr
