{{ config(unique_key='promo_code') }}
-- A file may contain a code twice with different terms. Then the least generous terms apply: a fixed amount before a
-- percentage, which has no bound, then the smaller value, then the higher minimum purchase.
{{ current_version(
    staged=ref('stg_promo_codes'),
    dataset='promo_codes',
    key=['promo_code'],
    content=['discount_type', 'discount_value', 'min_purchase_amount'],
    tie_break=['discount_type', 'discount_value', 'min_purchase_amount desc nulls last'],
) }}
