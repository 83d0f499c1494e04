{{ config(materialized='view', database=target.database) }}
select
    measurement_category,
    conversions,
    conversion_ids,
    is_scanner_traffic
from {{ ref('int_unmapped_page_categories') }}
