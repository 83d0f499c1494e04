-- A row in review has the outcome in_review.
with outcomes as (
    select 'clicks' as side, coalesce(unmatched_reason, 'matched') as outcome
    from {{ ref('conversion_journeys') }}
    union all
    select 'broker_rows', coalesce(unmatched.reason, 'matched')
    from {{ ref('int_broker_rows') }}
    left join {{ source('matching', 'unmatched_broker_rows') }} as unmatched using (broker_row_id)
),

counts as (
    select side, outcome, count(*) as rows
    from outcomes
    group by side, outcome
)

select
    row_number() over (order by side desc, rows desc, outcome) - 1 as place,
    side,
    outcome,
    rows,
    rows / sum(rows) over (partition by side) as share
from counts
