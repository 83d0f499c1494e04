{{ config(meta={'dagster': {'ref': {'name': 'fct_agency_performance'}}}) }}
-- Premium and losses of current rows equal their text in the file to the cent, and every key of any file is in the
-- mart.
{% set amounts = {
    'written_premium': 'wrtn_prem_amt',
    'new_business_premium': 'nb_wrtn_prem_amt',
    'earned_premium': 'prd_ernd_prem_amt',
    'incurred_losses': 'prd_incrd_losses_amt',
} %}
with mart as (
    select * from {{ ref('fct_agency_performance') }}
),

current_raw as (
    select raw.*
    from {{ source('raw', 'agency_performance') }} as raw
    semi join mart using (_batch_id, _source_row)
),

totals as (
    {% for amount, column in amounts.items() -%}
    select
        '{{ amount }}' as total,
        (select round(sum(contract.as_money({{ column }})), 2) from current_raw) as in_raw,
        (select round(sum({{ amount }}), 2) from mart) as in_mart
    union all
    {% endfor -%}
    select
        'keys',
        (
            select count(distinct row(
                contract.as_integer(agency_id), contract.as_fixed_code(prod_abbr), contract.as_fixed_code(state_abbr),
                contract.as_integer(stat_profile_date_year)
            ))
            from {{ source('raw', 'agency_performance') }}
        ),
        (select count(*) from mart)
)

select * from totals where in_raw is distinct from in_mart
