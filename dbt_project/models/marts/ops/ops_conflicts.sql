{{ config(materialized='view') }}
{#- A view: it reads only what is contested, and no batch has to rebuild it. Where one business was built alone, the
models of the others are not there yet and have nothing to say. #}
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
select
    null::varchar as dataset,
    null::varchar as key,
    null::bigint as versions,
    null::varchar as kept_file,
    null::bigint as kept_row,
    null::varchar as rule,
    null::varchar as kept_batch_id
where false
{% for dataset, model, key in keyed_models -%}
{%- set current = ref(model) -%}
{%- if load_relation(current) is not none %}
union all
select
    '{{ dataset }}',
    concat_ws(', ', {% for column in key %}'{{ column }} ' || {{ column }}{{ ', ' if not loop.last }}{% endfor %}),
    versions,
    _source_file,
    _source_row,
    settled_by,
    _batch_id
from {{ current }}
where versions > 1
{%- endif %}
{% endfor %}
