{{ config(unique_key=['agency_id', 'prod_abbr', 'state_abbr', 'year']) }}
{%- set reasons = [] -%}
{%- for figure in agency_figures() -%}
    {%- do reasons.append(figure ~ '_missing_reason') -%}
{%- endfor -%}
{{ current_version(
    staged=source('frames', 'stg_agency_performance'),
    dataset='agency_performance',
    key=['agency_id', 'prod_abbr', 'state_abbr', 'year'],
    content=['prod_line', 'months'] + agency_figures() + reasons + agency_attributes(),
) }}
