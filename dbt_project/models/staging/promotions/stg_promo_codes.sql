select
    contract.as_code(promo_code) as promo_code,
    discount_type,
    contract.as_number(discount_value) as discount_value,
    contract.as_number(min_purchase_amount) as min_purchase_amount,
    _batch_id,
    _source_file,
    _source_row
from {{ source('raw', 'promo_codes') }}
{{ where_batch_is_new('promo_codes') }}
