-- Classes of ten points; zero is a class of its own.
with classes as (
    select
        case when important_score = 0 then 0.0 else floor(important_score / 10) * 10 + 1e-9 end as score_from,
        count(*) as rows
    from {{ ref('int_broker_rows') }}
    where isfinite(important_score)
    group by 1
)

select
    row_number() over (order by score_from) - 1 as place,
    round(score_from, 6) as score_from,
    round(case when score_from > 0 then score_from + 10 end, 6) as score_until,
    rows
from classes
