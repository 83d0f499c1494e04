select
    contract.as_integer(parcel_id) as parcel_id,
    carrier,
    contract.as_timestamp(sent_at) as sent_at,
    contract.as_timestamp(delivered_at) as delivered_at,
    _batch_id,
    _source_file,
    _source_row
from {{ source('raw', 'parcels') }}
{{ where_batch_is_new('parcels') }}
