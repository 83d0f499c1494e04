{{ config(materialized='view') }}
-- A view: what the mapping of pages and countries says now holds for every conversion, and no row has to be rewritten.
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
    conversions.is_scanner_traffic,
    conversions._batch_id,
    conversions._source_file,
    conversions._source_row
from {{ ref('int_conversions_current') }} as conversions
left join {{ ref('int_page_categories_current') }} as categories using (measurement_category)
left join {{ source('frames', 'stg_country_names') }} as countries on conversions.country_name = countries.spelling
