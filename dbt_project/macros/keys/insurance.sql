{#- By dataset, the columns that identify a row of its model int_<dataset>_current. #}
{% macro keys__insurance() %}
{{ return({
    'agency_performance': ['agency_id', 'prod_abbr', 'state_abbr', 'year']
}) }}
{% endmacro %}
