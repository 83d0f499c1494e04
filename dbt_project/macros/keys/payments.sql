{#- By dataset, the columns that identify a row of its model int_<dataset>_current. #}
{% macro keys__payments() %}
{{ return({
    'transactions': ['day', 'minute_of_day', 'status'],
    'checkout_sales': ['source_file', 'hour']
}) }}
{% endmacro %}
