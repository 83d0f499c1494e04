{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='conversion_id') }}
with
{% if is_incremental() -%}
-- What the rows say now against what the mapping says now: no need to know which batch changed the mapping.
remapped_codes as (
    select measurement_category
    from (select distinct measurement_category, page_category from {{ this }}) as held
    left join {{ ref('int_page_categories_current') }} as categories using (measurement_category)
    where held.page_category is distinct from categories.page_category
),

remapped_countries as (
    select country_name
    from (select distinct country_name, country_iso2 from {{ this }}) as held
    left join {{ source('ml', 'country_names') }} as countries on held.country_name = countries.spelling
    where held.country_iso2 is distinct from countries.country_iso2
),

touched as (
    -- A key touched by a new batch whose row does not hold stays as it is.
    select conversion_id
    from {{ ref('int_conversions_current') }}
    where _batch_id in {{ unmodelled_batches('conversions') }}
    union
    select conversion_id from {{ ref('int_conversions_current') }} semi join remapped_codes using (measurement_category)
    union
    select conversion_id from {{ ref('int_conversions_current') }} semi join remapped_countries using (country_name)
),
{%- endif %}

current_conversions as (
    select * from {{ ref('int_conversions_current') }}
    {% if is_incremental() %} semi join touched using (conversion_id) {% endif %}
)

select
    conversions.conversion_id,
    conversions.session_id,
    countries.country_iso2,
    conversions.is_mobile,
    conversions.ui_element,
    categories.page_category,
    conversions.created_at,
    conversions.country_name,
    conversions.measurement_category,
    -- No element or code of the site has quotes, brackets, semicolons, backslashes or SQL comments in it.
    regexp_matches(concat_ws(' ', conversions.ui_element, conversions.measurement_category), '[''"();\\]|/\*')
        as is_scanner_traffic,
    conversions._batch_id,
    conversions._source_file,
    conversions._source_row
from current_conversions as conversions
left join {{ ref('int_page_categories_current') }} as categories using (measurement_category)
left join {{ source('ml', 'country_names') }} as countries on conversions.country_name = countries.spelling
