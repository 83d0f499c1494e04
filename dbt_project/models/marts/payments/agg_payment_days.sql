select
    day,
    count(_source_row) as rows,
    sum(count)::bigint as transactions,
    count(distinct minute_of_day) filter (where is_observed) as observed_minutes,
    count(distinct minute_of_day) filter (where not is_observed) as unobserved_minutes
from {{ ref('fct_payment_minutes') }}
group by day
