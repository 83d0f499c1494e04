{{ config(materialized='view') }}
-- A view: see int_conversions.
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
    broker.partner,
    broker.content_key || '-' || broker.occurrence as broker_row_id,
    broker._batch_id,
    broker.content_key,
    broker.occurrence
from {{ ref('int_broker_rows_current') }} as broker
left join {{ source('frames', 'stg_country_names') }} as residency on broker.residency_name = residency.spelling
left join {{ source('frames', 'stg_country_names') }} as ip on broker.ip_name = ip.spelling
