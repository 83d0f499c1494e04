{#- By dataset, the columns that identify a row of its model int_<dataset>_current. #}
{% macro keys__payments() %}
{{ return({
    'transactions': transactions_key(),
    'checkout_sales': ['source_file', 'hour']
}) }}
{% endmacro %}
