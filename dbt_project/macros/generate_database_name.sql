{#- Use the database that a model names. A view of the published file may reference only that file:
    the snapshot has no other database. -#}
{% macro generate_database_name(custom_database_name, node) -%}
    {{ custom_database_name or target.database }}
{%- endmacro %}
