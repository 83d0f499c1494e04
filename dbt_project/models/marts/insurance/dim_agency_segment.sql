-- The segment of each agency, by the last complete years; growth compares their average year with the average of the
-- complete years before; short years never count. See docs/decisions/agency-segments.md.
-- The seed agency_segment_rules has the thresholds, agency_segments the actions.
{% set years = 3 %}

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
        is_plausible and coalesce(year > recent_to_year, true) as is_since
    from {{ ref('fct_agency_performance') }} as performance
    join ({{ plausible_years() }}) using (year)
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

-- A rule applies where all of its conditions do; empty ones always do. The first segment with such a rule is used.
segmented as (
    select
        judged.*,
        segments.segment,
        segments.rule,
        segments.action
    from judged
    join {{ ref('agency_segment_rules') }} as rules on
        coalesce(years_with_premium < years_with_premium_below, years_with_premium_below is null)
        and coalesce(recent_written_premium < premium_below_usd, premium_below_usd is null)
        and coalesce(coalesce(recent_written_premium, 0) <= premium_at_most_usd, true)
        and coalesce(recent_written_premium >= premium_at_least_usd, premium_at_least_usd is null)
        and coalesce(coalesce(written_premium_since, 0) <= premium_since_at_most_usd, true)
        and coalesce((loss_ratio is null) = is_loss_ratio_unknown, true)
        and coalesce(loss_ratio >= loss_ratio_at_least, loss_ratio_at_least is null)
        and coalesce(retention_ratio < retention_ratio_below, retention_ratio_below is null)
        and coalesce(policies_up_for_renewal >= policies_at_least, policies_at_least is null)
        and coalesce(growth_rate <= growth_rate_at_most, growth_rate_at_most is null)
        and coalesce(growth_rate >= growth_rate_at_least, growth_rate_at_least is null)
        and coalesce(coalesce(judged.is_new, false) = rules.is_new, true)
    join {{ ref('agency_segments') }} as segments on rules.segment = segments.segment
    qualify row_number() over (partition by agency_id order by segments.place) = 1
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
