-- Users and codes are unique in the joined tables, so a usage stays one row. A usage can arrive before its user.
select
    usages.user_id,
    usages.promo_code,
    usages.used_at,
    usages.used_promo,
    users.user_id is not null as is_user_known,
    users.created_at as user_created_at,
    epoch(usages.used_at - users.created_at) / 86400.0::double as account_age_at_use_days,
    codes.promo_code is not null as is_code_known,
    codes.discount_type,
    codes.discount_value,
    codes.min_purchase_amount,
    usages._batch_id,
    usages._source_file,
    usages._source_row
from {{ ref('int_promo_usages') }} as usages
left join {{ ref('fct_promo_users') }} as users on usages.user_id = users.user_id
left join {{ ref('dim_promo_code') }} as codes on usages.promo_code = codes.promo_code
