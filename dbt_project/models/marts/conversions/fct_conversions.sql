{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='conversion_id') }}
-- depends_on: {{ ref('int_conversions_current') }}
-- depends_on: {{ ref('int_page_categories_current') }}
-- depends_on: {{ source('frames', 'stg_country_names') }}
{% if is_incremental() -%}
with
-- Compare the stored rows with the current mapping, whichever batch changed it.
remapped_codes as (
    select measurement_category
    from (select distinct measurement_category, page_category from {{ this }}) as held
    left join {{ ref('int_page_categories_current') }} as categories using (measurement_category)
    where held.page_category is distinct from categories.page_category
),

remapped_countries as (
    select country_name
    from (select distinct country_name, country_iso2 from {{ this }}) as held
    left join {{ source('frames', 'stg_country_names') }} as countries on held.country_name = countries.spelling
    where held.country_iso2 is distinct from countries.country_iso2
),

touched as (
    -- A key stays unchanged where the new batch does not have its current version.
    select conversion_id
    from {{ ref('int_conversions_current') }}
    where _batch_id in {{ unmodelled_batches('conversions') }}
    union
    select conversion_id from {{ ref('int_conversions_current') }} semi join remapped_codes using (measurement_category)
    union
    select conversion_id from {{ ref('int_conversions_current') }} semi join remapped_countries using (country_name)
)
{%- endif %}

select
    conversion_id,
    session_id,
    country_iso2,
    is_mobile,
    ui_element,
    page_category,
    created_at,
    country_name,
    measurement_category,
    is_scanner_traffic,
    _batch_id,
    _source_file,
    _source_row
from {{ ref('int_conversions') }}
{% if is_incremental() %} semi join touched using (conversion_id) {% endif %}
