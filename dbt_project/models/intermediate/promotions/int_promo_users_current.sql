{{ config(unique_key='user_id') }}
{{ current_version(
    staged=ref('stg_promo_users'),
    dataset='promo_users',
    key=['user_id'],
    content=[
        'created_at', 'email', 'is_email_verified', 'phone', 'is_phone_verified', 'first_name', 'last_name',
        'ip_address', 'device_id', 'user_agent', 'city', 'gender', 'dob', 'dob_text', 'dob_missing_reason',
        'timezone', 'is_abuser',
    ],
) }}
