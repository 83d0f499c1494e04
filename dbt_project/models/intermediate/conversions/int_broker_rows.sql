{{ config(materialized='view') }}
-- A view: see int_conversions. Rows that a partner repeats from another count once, as the other's: see int_partners.
with repeated as (
    select broker.content_key, broker.occurrence
    from {{ ref('int_broker_rows_current') }} as broker
    join {{ ref('int_partners') }} as partners on broker.partner = partners.partner
    join {{ ref('int_broker_rows_current') }} as other on
        other.partner = repeats_partner
        and broker.broker_at = other.broker_at
        and broker.residency_name is not distinct from other.residency_name
        and broker.ip_name is not distinct from other.ip_name
        and broker.important_score is not distinct from other.important_score
        and broker.important_score_missing_reason is not distinct from other.important_score_missing_reason
        and broker.occurrence = other.occurrence
    where repeats_partner is not null
)

select
    broker._source_file as broker_source_file,
    broker._source_row as broker_source_row,
    broker.broker_at,
    residency.country_iso2 as residency_iso2,
    ip.country_iso2 as ip_iso2,
    broker.important_score,
    broker.residency_name,
    broker.ip_name,
    broker.important_score_missing_reason,
    coalesce(partners.repeats_partner, broker.partner) as partner,
    broker.content_key || '-' || broker.occurrence as broker_row_id,
    broker._batch_id,
    broker.content_key,
    broker.occurrence
from {{ ref('int_broker_rows_current') }} as broker
left join {{ source('frames', 'stg_country_names') }} as residency on broker.residency_name = residency.spelling
left join {{ source('frames', 'stg_country_names') }} as ip on broker.ip_name = ip.spelling
left join {{ ref('int_partners') }} as partners on broker.partner = partners.partner
anti join repeated on broker.content_key = repeated.content_key and broker.occurrence = repeated.occurrence
