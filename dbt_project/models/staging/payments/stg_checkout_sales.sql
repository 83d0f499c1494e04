select
    _source_file as source_file,
    contract.as_hour("time")::integer as hour,
    contract.as_integer(today) as today,
    contract.as_integer(yesterday) as yesterday,
    contract.as_integer(same_day_last_week) as same_day_last_week,
    contract.as_number(avg_last_week) as avg_last_week,
    contract.as_number(avg_last_month) as avg_last_month,
    _batch_id,
    _source_file,
    _source_row
from {{ source('raw', 'checkout_sales') }}
{{ where_batch_is_new('checkout_sales') }}
