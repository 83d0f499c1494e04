{#- By dataset, the columns that identify a row of its model int_<dataset>_current. #}
{% macro keys__conversions() %}
{{ return({
    'conversions': ['conversion_id'],
    'page_categories': ['measurement_category']
}) }}
{% endmacro %}
