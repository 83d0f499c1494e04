select
    contract.as_label(user_id) as user_id,
    contract.as_timestamp(created_at) as created_at,
    email,
    contract.as_boolean(is_email_verified) as is_email_verified,
    phone,
    contract.as_boolean(is_phone_verified) as is_phone_verified,
    first_name,
    last_name,
    ip_address,
    device_id,
    user_agent,
    city,
    gender,
    contract.as_date(dob) as dob,
    dob as dob_text,
    case
        when dob is null then 'empty_in_source'
        when contract.as_date(dob) is null then 'not_a_date'
    end as dob_missing_reason,
    timezone,
    contract.as_boolean(is_abuser) as is_abuser,
    _batch_id,
    _source_file,
    _source_row
from {{ source('raw', 'promo_users') }}
{{ where_batch_is_new('promo_users') }}
