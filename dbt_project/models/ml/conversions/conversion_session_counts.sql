with scored as (
    select session_id, important_score > 0 as is_important
    from {{ ref('conversion_journeys') }}
    where is_matched and isfinite(important_score) and not is_scanner_traffic and session_id is not null
),

sessions as (
    select count(*) as rows, count(*) filter (where is_important) as important
    from scored
    group by session_id
    having count(*) > 1
)

select
    0::bigint as place,
    count(*) as sessions,
    count(*) filter (where important > 0) as with_important,
    count(*) filter (where important = rows) as all_important,
    (select avg(is_important::int) from scored) as important_share
from sessions
