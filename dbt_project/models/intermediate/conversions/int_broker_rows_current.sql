{{ config(unique_key=['content_key', 'occurrence']) }}
-- n equal rows of one file are n registrations. Where files overlap, the larger count applies, not the sum: the k-th
-- equal row of one file is the k-th of another, represented by the one that arrived first.
with batches as (
    select batch_id as _batch_id, arrived_at
    from {{ source('ops', 'batches') }}
    where dataset = 'broker_rows'
),

{% if is_incremental() -%}
touched_contents as (
    select distinct content_key
    from {{ ref('stg_broker_rows') }}
    where _batch_id in {{ unmodelled_batches('broker_rows') }}
),

candidates as (
    select * from {{ ref('stg_broker_rows') }} semi join touched_contents using (content_key)
),
{%- else -%}
candidates as not materialized (
    select * from {{ ref('stg_broker_rows') }}
),
{%- endif %}

counted as (
    select
        *,
        row_number() over (partition by content_key, _batch_id order by _source_row)::integer as occurrence
    from candidates
)

select
    content_key,
    occurrence,
    partner,
    broker_at,
    residency_name,
    ip_name,
    important_score,
    important_score_missing_reason,
    _batch_id,
    _source_file,
    _source_row
from counted
join batches using (_batch_id)
qualify row_number() over (partition by content_key, occurrence order by arrived_at, _batch_id) = 1
