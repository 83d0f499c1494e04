select
    contract.as_label(measurement_category) as measurement_category,
    page_category,
    _batch_id,
    _source_file,
    _source_row
from {{ source('raw', 'page_categories') }}
{{ where_batch_is_new('page_categories') }}
