with pairs as (
    select partner, lag_seconds, count(*) as rows
    from {{ source('matching', 'matches') }}
    where tier = 'matched'
    group by partner, lag_seconds
),

bins as (
    select
        -- typed, as a table without a partner has no types
        bins.partner::varchar as partner,
        from_second::bigint as from_second,
        until_second::bigint as until_second,
        share::double as learned,
        coalesce(sum(pairs.rows), 0)::bigint as rows
    from {{ source('ml', 'matching_lags') }} as bins
    left join pairs on bins.partner = pairs.partner and lag_seconds >= from_second and lag_seconds < until_second
    group by all
)

select
    row_number() over (order by partner, from_second, until_second) - 1 as place,
    partner,
    from_second,
    until_second,
    rows,
    rows / nullif(sum(rows) over (partition by partner), 0) as observed,
    learned
from bins
