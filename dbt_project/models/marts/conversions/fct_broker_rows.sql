{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='broker_row_id',
    post_hook="delete from {{ this }} where broker_row_id not in (select broker_row_id from {{ ref('int_broker_rows') }})",
) }}
-- depends_on: {{ ref('int_broker_rows_current') }}
-- depends_on: {{ source('frames', 'stg_country_names') }}
{% if is_incremental() -%}
with
remapped_names as (
    select name
    from (
        select distinct residency_name as name, residency_iso2 as country_iso2 from {{ this }}
        union
        select distinct ip_name, ip_iso2 from {{ this }}
    ) as held
    left join {{ source('frames', 'stg_country_names') }} as countries on held.name = countries.spelling
    where held.country_iso2 is distinct from countries.country_iso2
),

touched as (
    select content_key, occurrence
    from {{ ref('int_broker_rows_current') }}
    where _batch_id in {{ unmodelled_batches('broker_rows') }}
    union
    select content_key, occurrence
    from {{ ref('int_broker_rows_current') }} as broker
    semi join remapped_names on broker.residency_name = remapped_names.name
    union
    select content_key, occurrence
    from {{ ref('int_broker_rows_current') }} as broker
    semi join remapped_names on broker.ip_name = remapped_names.name
    union
    -- a partner may turn out to repeat another, or not to
    select broker.content_key, broker.occurrence
    from {{ ref('int_broker_rows') }} as broker
    left join {{ this }} as held using (broker_row_id)
    where held.broker_row_id is null or held.partner is distinct from broker.partner
)
{%- endif %}

select
    broker_source_file,
    broker_source_row,
    broker_at,
    residency_iso2,
    ip_iso2,
    important_score,
    residency_name,
    ip_name,
    important_score_missing_reason,
    partner,
    broker_row_id,
    _batch_id
from {{ ref('int_broker_rows') }}
{% if is_incremental() %} semi join touched using (content_key, occurrence) {% endif %}
