{#- By dataset, the columns that identify a row of its model int_<dataset>_current. #}
{% macro keys__promotions() %}
{{ return({
    'promo_users': ['user_id'],
    'promo_codes': ['promo_code'],
    'promo_usages': ['user_id', 'promo_code', 'used_at']
}) }}
{% endmacro %}
