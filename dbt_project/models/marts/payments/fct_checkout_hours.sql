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
from {{ ref('int_checkout_hours') }}
