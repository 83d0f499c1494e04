{#-
Whether dbt builds a model from scratch: as dbt decides, and where other code has built it, or what it stands on. The
variable `rebuilt` names those models (assets/marts.py); a refresh of all of them would lose the time that adding saves.
-#}
{% macro should_full_refresh() %}
    {%- if model.name in var('rebuilt', []) -%}
        {{ return(true) }}
    {%- endif -%}
    {{ return(dbt.should_full_refresh()) }}
{% endmacro %}
