{{ config(materialized='view') }}
{#- A view: it reads only what is contested, and no batch has to rebuild it. #}
{%- set keyed_models = [
    ('agency_performance', 'int_agency_performance_current', ['agency_id', 'prod_abbr', 'state_abbr', 'year']),
    ('promo_users', 'int_promo_users_current', ['user_id']),
    ('promo_codes', 'int_promo_codes_current', ['promo_code']),
    ('promo_usages', 'int_promo_usages_current', ['user_id', 'promo_code', 'used_at']),
    ('conversions', 'int_conversions_current', ['conversion_id']),
    ('page_categories', 'int_page_categories_current', ['measurement_category']),
    ('transactions', 'int_transactions_current', ['day', 'minute_of_day', 'status']),
    ('checkout_sales', 'int_checkout_sales_current', ['source_file', 'hour']),
] -%}
{% for dataset, model, key in keyed_models -%}
select
    '{{ dataset }}' as dataset,
    concat_ws(', ', {% for column in key %}'{{ column }} ' || {{ column }}{{ ', ' if not loop.last }}{% endfor %}) as key,
    versions,
    _source_file as kept_file,
    _source_row as kept_row,
    settled_by as rule,
    _batch_id as kept_batch_id
from {{ ref(model) }}
where versions > 1
{{ 'union all' if not loop.last }}
{% endfor %}
