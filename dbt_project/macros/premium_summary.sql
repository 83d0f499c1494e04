{#-
The body of an aggregate of agency performance at the grain of `by` (a list of columns of the fact).

Ratios are not additive: each is recomputed from the sums of numerator and denominator, over the rows where both are
known. The pair stays in the table, so that a page can aggregate further. A denominator of zero or less has no ratio.
Growth compares complete years only: a part of a year is less than the whole year before it.
-#}
{% macro premium_summary(by) %}
with sums as (
    select
        {{ by | join(', ') }},
        count(distinct agency_id) as agencies,
        sum(written_premium)::decimal(38, 4) as written_premium,
        sum(new_business_premium)::decimal(38, 4) as new_business_premium,
        sum(prev_written_premium)::decimal(38, 4) as prev_written_premium,
        sum(earned_premium)::decimal(38, 4) as earned_premium,
        sum(incurred_losses)::decimal(38, 4) as incurred_losses,
        sum(policies_in_force)::bigint as policies_in_force,
        sum(prev_policies_in_force)::bigint as prev_policies_in_force,
        sum(retained_policies)::bigint as retained_policies,
        sum(incurred_losses) filter (where written_premium is not null)::decimal(38, 4) as loss_ratio_numerator,
        sum(written_premium) filter (where incurred_losses is not null)::decimal(38, 4) as loss_ratio_denominator,
        sum(retained_policies) filter (where prev_policies_in_force is not null)::bigint as retention_ratio_numerator,
        sum(prev_policies_in_force) filter (where retained_policies is not null)::bigint as retention_ratio_denominator,
        sum(written_premium - prev_written_premium)
            filter (where is_year_complete)::decimal(38, 4) as growth_rate_numerator,
        sum(prev_written_premium)
            filter (where is_year_complete and written_premium is not null)::decimal(38, 4) as growth_rate_denominator
    from {{ ref('fct_agency_performance') }}
    group by {{ by | join(', ') }}
)

select
    *,
    {% for ratio in ['loss_ratio', 'retention_ratio', 'growth_rate'] -%}
    case when {{ ratio }}_denominator > 0 then ({{ ratio }}_numerator / {{ ratio }}_denominator)::double end as {{ ratio }}
    {{- ',' if not loop.last }}
    {% endfor -%}
from sums
{% endmacro %}
