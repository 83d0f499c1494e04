{#-
Rules for every row, in one scan: a test for each rule and column would cost more than the models.
Fails with a row for each broken rule: its column and the number of rows.

never_null: columns that are never null. at_least: column to minimum; nulls pass. one_of: column to its values; nulls
pass. explained: columns that are null exactly where `<column>_missing_reason` is set.
-#}
{% test every_row(model, never_null=[], at_least={}, one_of={}, explained=[]) %}
{%- set rules = [] -%}
{%- for column in never_null -%}
    {%- do rules.append((column ~ ' is null', adapter.quote(column) ~ ' is null')) -%}
{%- endfor -%}
{%- for column, minimum in at_least.items() -%}
    {%- do rules.append((column ~ ' is below ' ~ minimum, adapter.quote(column) ~ ' < ' ~ minimum)) -%}
{%- endfor -%}
{%- for column, values in one_of.items() -%}
    {%- set listed = "'" ~ values | join("', '") ~ "'" -%}
    {%- do rules.append((column ~ ' is none of ' ~ values | join(', '), adapter.quote(column) ~ ' not in (' ~ listed ~ ')')) -%}
{%- endfor -%}
{%- for column in explained -%}
    {%- do rules.append((
        column ~ ' is null without a reason, or has a reason but is not null',
        '(' ~ column ~ ' is null) <> (' ~ column ~ '_missing_reason is not null)'
    )) -%}
{%- endfor -%}
with counts as (
    select
    {%- for rule, condition in rules %}
        count(*) filter (where {{ condition }}) as rule_{{ loop.index }}{{ ',' if not loop.last }}
    {%- endfor %}
    from {{ model }}
)
{% for rule, condition in rules %}
select '{{ rule }}' as rule, rule_{{ loop.index }} as rows from counts where rule_{{ loop.index }} > 0
{{ 'union all' if not loop.last }}
{%- endfor %}
{% endtest %}
