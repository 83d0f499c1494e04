{% set level %}
        case
            when ip_iso2 is null then 'IP unknown'
            when residency_iso2 is null then 'residency unknown'
            when ip_iso2 = residency_iso2 then 'same'
            else 'other'
        end
{%- endset -%}

-- A session counts once, with the first of its matched rows that has a score. Scanners are excluded.
with stated as (
    select broker_rows.*
    from {{ ref('int_broker_rows') }} as broker_rows
    join {{ ref('conversion_journeys') }} as journeys using (broker_row_id)
    where isfinite(broker_rows.important_score) and not is_scanner_traffic
    qualify row_number() over (
        partition by coalesce(session_id, 'conversion ' || conversion_id) order by broker_rows.broker_at, broker_row_id
    ) = 1
),

scored as (
    select {{ level }} as level, count(*) as n, count(*) filter (where important_score > 0) as important
    from stated
    group by 1
),

every_row as (
    select {{ level }} as level, count(*) as rows
    from {{ ref('int_broker_rows') }}
    group by 1
)

select
    row_number() over (order by level) - 1 as place,
    level,
    rows,
    coalesce(n, 0) as n,
    coalesce(important, 0) as important
from every_row
left join scored using (level)
