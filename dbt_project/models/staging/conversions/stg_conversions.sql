select
    contract.as_integer(id) as conversion_id,
    session_id,
    country_name,
    contract.as_boolean(is_mobile) as is_mobile,
    ui_element,
    contract.as_timestamp(created_at) as created_at,
    contract.as_label(measurement_category) as measurement_category,
    -- No element or code of the site contains quotes, brackets, semicolons, backslashes or SQL comments.
    regexp_matches(concat_ws(' ', ui_element, measurement_category), '[''"();\\]|/\*') as is_scanner_traffic,
    _batch_id,
    _source_file,
    _source_row
from {{ source('raw', 'conversions') }}
{{ where_batch_is_new('conversions') }}
