{#- By dataset, the columns that identify a row of its model int_<dataset>_current. #}
{% macro keys__conversions() %}
{{ return({
    'conversions': ['conversion_id'],
    'page_categories': ['measurement_category']
}) }}
{% endmacro %}

{#- By dataset, the model with the keys that one file gives to different things. #}
{% macro collisions__conversions() %}
{{ return({
    'conversions': 'int_conversion_collisions'
}) }}
{% endmacro %}
