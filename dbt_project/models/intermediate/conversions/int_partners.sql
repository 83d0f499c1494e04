{{ config(materialized='table') }}
-- Partners, and those that repeat another one. A registration has one broker: where half of the rows of a partner are
-- rows of a partner that arrived earlier, the file was copied under another name, and its rows are the earlier one's.
with arrived as (
    select partner, count(*) as rows, min((arrived_at, _source_file)) as first_arrival
    from {{ ref('int_broker_rows_current') }}
    join (
        select batch_id as _batch_id, arrived_at
        from {{ source('ops', 'batches') }}
        where dataset = 'broker_rows'
    ) using (_batch_id)
    group by partner
),

shared_contents as (
    select list(distinct partner) as partners
    from {{ ref('int_broker_rows_current') }}
    where (select count(*) from arrived) > 1
    group by
        broker_at, residency_name, ip_name, important_score, important_score_missing_reason, occurrence
    having count(distinct partner) > 1
),

shared as (
    select one.partner, other.partner as other_partner, count(*) as rows
    from (select unnest(partners) as partner, partners from shared_contents) as one
    cross join unnest(one.partners) as other(partner)
    where one.partner <> other.partner
    group by all
),

repeated as (
    select
        shared.partner,
        arg_min(other_partner, (others.first_arrival, other_partner)) as repeats_partner,
        arg_min(shared.rows, (others.first_arrival, other_partner)) as repeated_rows
    from shared
    join arrived on arrived.partner = shared.partner
    join arrived as others on others.partner = other_partner
    where 2 * shared.rows >= arrived.rows
        and (others.first_arrival, other_partner) < (arrived.first_arrival, shared.partner)
    group by shared.partner
)

select
    partner,
    rows,
    struct_extract(first_arrival, 1) as first_arrived_at,
    struct_extract(first_arrival, 2) as first_file,
    repeats_partner,
    coalesce(repeated_rows, 0)::bigint as repeated_rows
from arrived
left join repeated using (partner)
