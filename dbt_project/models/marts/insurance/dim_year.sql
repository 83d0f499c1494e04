-- Months are how much of the year a row covers, not which month: the fullest row tells how much of the year is in.
select
    year,
    max(months) as months_covered,
    max(months) = 12 as is_complete,
    case
        when max(months) = 12 then year::varchar
        else format('{} ({} months)', year, max(months))
    end as label
from {{ ref('fct_agency_performance') }}
group by year
