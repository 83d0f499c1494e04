{#- Tables lie in the database they name. Views stay in the warehouse's own file, since they look into tables there;
    publishing writes them out as tables. -#}
{% macro generate_database_name(custom_database_name, node) -%}
    {{ target.database if node.config.materialized == 'view' else custom_database_name or target.database }}
{%- endmacro %}
