{#- The years of agency performance, and whether each is plausible: not in the future, and not a few rows on their own. -#}
{% macro plausible_years() -%}
select year, coalesce(incomplete_reason not in ('future', 'detached'), true) as is_plausible from {{ ref('int_years') }}
{%- endmacro %}
