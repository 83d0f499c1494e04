{{ config(materialized='view') }}
-- A view: a change to the mapping of pages or countries applies to every conversion without rewriting rows. A code in
-- another case is of the mapped page, unless codes of several pages differ in case alone.
with folded as (
    select upper(measurement_category) as folded_code, any_value(page_category) as page_category
    from {{ ref('int_page_categories_current') }}
    group by all
    having count(distinct page_category) = 1
)

select
    conversions.conversion_id,
    conversions.session_id,
    countries.country_iso2,
    conversions.is_mobile,
    conversions.ui_element,
    coalesce(categories.page_category, folded.page_category) as page_category,
    conversions.created_at,
    conversions.country_name,
    conversions.measurement_category,
    conversions.is_scanner_traffic,
    conversions._batch_id,
    conversions._source_file,
    conversions._source_row
from {{ ref('int_conversions_current') }} as conversions
left join {{ ref('int_page_categories_current') }} as categories using (measurement_category)
left join folded on upper(conversions.measurement_category) = folded_code
left join {{ source('frames', 'stg_country_names') }} as countries on conversions.country_name = countries.spelling
