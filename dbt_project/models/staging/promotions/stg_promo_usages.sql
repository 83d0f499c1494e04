select
    contract.as_label(user_id) as user_id,
    contract.as_code(promo_code) as promo_code,
    contract.as_timestamp(used_at) as used_at,
    contract.as_boolean(used_promo) as used_promo,
    _batch_id,
    _source_file,
    _source_row
from {{ source('raw', 'promo_usages') }}
{{ where_batch_is_new('promo_usages') }}
