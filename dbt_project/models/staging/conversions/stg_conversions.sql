select
    contract.as_integer(id) as conversion_id,
    session_id,
    country_name,
    contract.as_boolean(is_mobile) as is_mobile,
    ui_element,
    contract.as_timestamp(created_at) as created_at,
    measurement_category,
    _batch_id,
    _source_file,
    _source_row
from {{ source('raw', 'conversions') }}
{{ where_batch_is_new('conversions') }}
