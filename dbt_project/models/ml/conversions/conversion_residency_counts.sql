-- A session counts once, with the first of its matched rows that states a residency. Scanners are excluded.
with stated as (
    select broker_rows.*
    from {{ ref('int_broker_rows') }} as broker_rows
    join {{ ref('conversion_journeys') }} as journeys using (broker_row_id)
    where broker_rows.ip_iso2 is not null
        and broker_rows.residency_iso2 is not null
        and not is_scanner_traffic
    qualify row_number() over (
        partition by coalesce(session_id, 'conversion ' || conversion_id) order by broker_rows.broker_at, broker_row_id
    ) = 1
),

counts as (
    select ip_iso2, count(*) as n, count(*) filter (where residency_iso2 <> ip_iso2) as elsewhere
    from stated
    group by ip_iso2
),

pairs as (
    select ip_iso2, residency_iso2, count(*) as sessions
    from stated
    where residency_iso2 <> ip_iso2
    group by ip_iso2, residency_iso2
),

commonest as (
    select ip_iso2, arg_max(residency_iso2, (sessions, residency_iso2)) as commonest, max(sessions) as commonest_sessions
    from pairs
    group by ip_iso2
)

select
    row_number() over (order by ip_iso2) - 1 as place,
    ip_iso2,
    n,
    elsewhere,
    commonest,
    commonest_sessions
from counts
left join commonest using (ip_iso2)
