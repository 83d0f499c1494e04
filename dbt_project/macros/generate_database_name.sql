{#- A model lies in the database that it names. A view of the published file may look at nothing but that file:
    it has to work in the snapshot, where there is no other. -#}
{% macro generate_database_name(custom_database_name, node) -%}
    {{ custom_database_name or target.database }}
{%- endmacro %}
