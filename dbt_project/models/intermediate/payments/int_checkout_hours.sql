{{ config(materialized='view') }}
with batches as (
    select batch_id as _batch_id, file_date, file_number
    from {{ source('ops', 'batches') }}
    where dataset = 'checkout_sales'
)

select
    source_file,
    hour,
    today,
    yesterday,
    same_day_last_week,
    avg_last_week,
    avg_last_month,
    file_date,
    file_number,
    _batch_id,
    _source_file,
    _source_row
from {{ ref('int_checkout_sales_current') }}
join batches using (_batch_id)
