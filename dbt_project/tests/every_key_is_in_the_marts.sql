{{ config(meta={'dagster': {'ref': {'name': 'fct_conversions'}}}) }}
-- Precedence picks among the rows of a key and never loses a key.
{% set keyed_models = [
    ('stg_conversions', 'fct_conversions', ['conversion_id']),
    ('stg_promo_users', 'fct_promo_users', ['user_id']),
    ('stg_promo_codes', 'dim_promo_code', ['promo_code']),
    ('stg_promo_usages', 'fct_promo_usages', ['user_id', 'promo_code', 'used_at']),
    ('stg_checkout_sales', 'fct_checkout_hours', ['source_file', 'hour']),
] %}
{% for staged, mart, key in keyed_models -%}
select '{{ mart }}' as mart, staged_keys, mart_rows
from (select count(distinct row({{ key | join(', ') }})) as staged_keys from {{ ref(staged) }})
cross join (select count(*) as mart_rows from {{ ref(mart) }})
where staged_keys <> mart_rows
{{ 'union all' if not loop.last }}
{% endfor %}
