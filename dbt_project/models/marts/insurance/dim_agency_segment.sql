-- What to do about each agency. It is judged by the last complete years, and its growth by their average year against
-- that of the complete years before; short years never count. docs/decisions/agency-segments.md has the reasons.
{% set years = 3 %}
{% set credible_premium_usd = 100000 %}
{% set credible_policies = 100 %}
{% set large_premium_usd = 1000000 %}
{% set high_loss_ratio = 0.70 %}
{% set low_retention = 0.83 %}
{% set growth = 0.10 %}

{#- In the order in which they apply: name, condition, rule in words, what to do. The first that holds is taken. -#}
{% set in_years = 'in the last ' ~ years ~ ' complete years' %}
{% set thousands = '{:,}' %}
{% set percent = '{:.0%}' %}
{% set segments = [
    (
        'dormant',
        'coalesce(recent_written_premium, 0) <= 0 and coalesce(written_premium_since, 0) <= 0',
        'Written premium ' ~ in_years ~ ' is zero or less, and nothing was written since.',
        'Ask whether the agency still means to place business; if not, end the appointment.',
    ),
    (
        'watch',
        'years_with_premium < ' ~ years ~ ' or recent_written_premium < ' ~ credible_premium_usd
            ~ ' or loss_ratio is null',
        'Too little to judge by: fewer than ' ~ years ~ ' years with premium, or less than '
            ~ thousands.format(credible_premium_usd) ~ ' USD of it ' ~ in_years ~ '.',
        'Change no terms on these figures; look again when the next complete year is in.',
    ),
    (
        'repair',
        'loss_ratio >= ' ~ high_loss_ratio,
        'Loss ratio ' ~ in_years ~ ' is ' ~ percent.format(high_loss_ratio) ~ ' or more.',
        'Go through the largest losses with the agency, and agree on underwriting and rates before new business.',
    ),
    (
        'retain',
        'retention_ratio < ' ~ low_retention ~ ' and policies_up_for_renewal >= ' ~ credible_policies,
        'Loss ratio is below ' ~ percent.format(high_loss_ratio) ~ ', but retention is below '
            ~ percent.format(low_retention) ~ ' over ' ~ credible_policies ~ ' policies or more.',
        'Find out why policies leave, and call on the customers whose renewal is next.',
    ),
    (
        'revive',
        'growth_rate <= -' ~ growth,
        'Loss ratio and retention are sound, but the average year fell by ' ~ percent.format(growth)
            ~ ' or more against the ' ~ years ~ ' complete years before.',
        'Visit the agency, ask where its business goes now, and agree on a target for new business.',
    ),
    (
        'grow',
        '(is_new or growth_rate >= ' ~ growth ~ ') and recent_written_premium >= ' ~ large_premium_usd,
        'Sound, new or grown by ' ~ percent.format(growth) ~ ' or more, and large: '
            ~ thousands.format(large_premium_usd) ~ ' USD of premium or more ' ~ in_years ~ '.',
        'Give it capacity and quick answers, and agree on a growth plan for next year.',
    ),
    (
        'invest',
        'is_new or growth_rate >= ' ~ growth,
        'Sound, new or grown by ' ~ percent.format(growth) ~ ' or more, and still below '
            ~ thousands.format(large_premium_usd) ~ ' USD of premium ' ~ in_years ~ '.',
        'Spend training, marketing money and field visits here first: it is small, profitable and growing.',
    ),
    (
        'keep',
        'true',
        'Loss ratio and retention are sound, and premium is steady, or there are no earlier years to compare with.',
        'Keep terms and service as they are, and offer the products that the agency does not sell yet.',
    ),
] %}

with complete_years as (
    select year, row_number() over (order by year desc) as place
    from {{ ref('dim_year') }}
    where is_complete
),

windows as (
    select
        min(year) filter (where place <= {{ years }}) as recent_from_year,
        max(year) filter (where place <= {{ years }}) as recent_to_year,
        count(*) filter (where place <= {{ years }}) as recent_years,
        min(year) filter (where place > {{ years }}) as earlier_from_year,
        max(year) filter (where place > {{ years }}) as earlier_to_year,
        count(*) filter (where place > {{ years }}) as earlier_years
    from complete_years
    where place <= {{ 2 * years }}
),

figures as (
    select
        performance.*,
        coalesce(place <= {{ years }}, false) as is_recent,
        coalesce(place between {{ years + 1 }} and {{ 2 * years }}, false) as is_earlier,
        coalesce(year > recent_to_year, true) as is_since
    from {{ ref('fct_agency_performance') }} as performance
    left join complete_years using (year)
    cross join windows
),

sums as (
    select
        agency_id,
        count(distinct year) filter (where is_recent and written_premium > 0) as years_with_premium,
        sum(written_premium) filter (where is_recent)::decimal(38, 4) as recent_written_premium,
        sum(written_premium) filter (where is_earlier)::decimal(38, 4) as earlier_written_premium,
        sum(written_premium) filter (where is_since)::decimal(38, 4) as written_premium_since,
        sum(incurred_losses) filter (where is_recent and written_premium is not null) as losses,
        sum(written_premium) filter (where is_recent and incurred_losses is not null) as premium_of_losses,
        sum(retained_policies) filter (where is_recent and prev_policies_in_force is not null) as retained_policies,
        sum(prev_policies_in_force) filter (where is_recent and retained_policies is not null)::bigint
            as policies_up_for_renewal
    from figures
    group by agency_id
),

judged as (
    select
        *,
        case when premium_of_losses > 0 then (losses / premium_of_losses)::double end as loss_ratio,
        case
            when policies_up_for_renewal > 0 then (retained_policies / policies_up_for_renewal)::double
        end as retention_ratio,
        case
            when earlier_written_premium > 0 then (
                (recent_written_premium * earlier_years - earlier_written_premium * recent_years)
                / (earlier_written_premium * recent_years)
            )::double
        end as growth_rate,
        recent_written_premium > 0 and earlier_years > 0 and coalesce(earlier_written_premium, 0) <= 0 as is_new
    from sums
    cross join windows
),

segmented as (
    select
        *,
        case
            {% for name, condition, rule, action in segments -%}
            when {{ condition }} then '{{ name }}'
            {% endfor -%}
        end as segment
    from judged
)

select
    agency_id,
    segment,
    rule,
    action,
    recent_from_year,
    recent_to_year,
    earlier_from_year,
    earlier_to_year,
    years_with_premium,
    recent_written_premium,
    earlier_written_premium,
    written_premium_since,
    loss_ratio,
    retention_ratio,
    policies_up_for_renewal,
    growth_rate,
    coalesce(is_new, false) as is_new
from segmented
join (
    values
    {% for name, condition, rule, action in segments -%}
    ('{{ name }}', '{{ rule }}', '{{ action }}'){{ ',' if not loop.last }}
    {% endfor -%}
) as meanings (segment, rule, action) using (segment)
