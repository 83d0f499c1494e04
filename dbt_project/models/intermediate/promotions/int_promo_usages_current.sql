{{ config(unique_key=['user_id', 'promo_code', 'used_at']) }}
{{ current_version(
    staged=ref('stg_promo_usages'),
    dataset='promo_usages',
    key=['user_id', 'promo_code', 'used_at'],
    content=['used_promo'],
) }}
