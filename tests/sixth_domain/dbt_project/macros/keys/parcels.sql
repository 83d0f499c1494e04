{#- By dataset, the columns that identify a row of its model int_<dataset>_current. #}
{% macro keys__parcels() %}
{{ return({'parcels': ['parcel_id']}) }}
{% endmacro %}
