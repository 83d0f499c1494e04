{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='broker_row_id') }}
with
{% if is_incremental() -%}
remapped_names as (
    select name
    from (
        select distinct residency_name as name, residency_iso2 as country_iso2 from {{ this }}
        union
        select distinct ip_name, ip_iso2 from {{ this }}
    ) as held
    left join {{ source('ml', 'country_names') }} as countries on held.name = countries.spelling
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
),
{%- endif %}

current_rows as (
    select * from {{ ref('int_broker_rows_current') }}
    {% if is_incremental() %} semi join touched using (content_key, occurrence) {% endif %}
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
    broker.partner,
    broker.content_key || '-' || broker.occurrence as broker_row_id,
    broker._batch_id
from current_rows as broker
left join {{ source('ml', 'country_names') }} as residency on broker.residency_name = residency.spelling
left join {{ source('ml', 'country_names') }} as ip on broker.ip_name = ip.spelling
