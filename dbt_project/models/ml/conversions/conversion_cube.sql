-- A session counts once, with its first conversion: rows of one session tend to share their score, and counting them all
-- would count one person several times. Conversions of scanners count as conversions, but in no rate.
with journeys as materialized (
    select
        conversion_id,
        created_at,
        coalesce(session_id, 'conversion ' || conversion_id) as session,
        created_at::date as day,
        coalesce(country_iso2, '(unknown)') as country,
        case when is_mobile then 'mobile' when not is_mobile then 'desktop' else '(unknown)' end as device,
        coalesce(page_category, '(no page category)') as page_category,
        coalesce(ui_element, '(no element)') as ui_element,
        coalesce(unmatched_reason, 'matched') as outcome,
        coalesce(partner, '(no partner)') as partner,
        is_scanner_traffic,
        is_matched,
        important_score as score,
        unmatched_reason is distinct from 'outside_time_span' as is_reachable,
        coalesce(is_matched and isfinite(important_score), false) as is_scored
    from {{ ref('conversion_journeys') }}
),

firsts as (
    select
        *,
        {% for flag in ['reachable', 'scored'] -%}
        is_{{ flag }} and not is_scanner_traffic and row_number() over (
            partition by session, is_{{ flag }} and not is_scanner_traffic order by created_at, conversion_id
        ) = 1 as is_first_{{ flag }}{{ ',' if not loop.last }}
        {% endfor %}
    from journeys
)

select
    day,
    country,
    device,
    page_category,
    ui_element,
    partner,
    outcome,
    is_scanner_traffic,
    count(*) as conversions,
    count(*) filter (where is_reachable) as reachable_conversions,
    count(*) filter (where is_first_reachable) as reachable_sessions,
    count(*) filter (where is_first_reachable and is_matched) as matched_sessions,
    count(*) filter (where is_scored) as scored_conversions,
    count(*) filter (where is_scored and score > 0) as important_conversions,
    count(*) filter (where is_first_scored) as scored_sessions,
    count(*) filter (where is_first_scored and score > 0) as important_sessions,
    {#- Sums of whole millionths: identical to the last digit in any order of rows. #}
    {% for name, power in {'total': 1, 'squares': 2, 'cubes': 3}.items() -%}
    coalesce(sum(round(score ** {{ power }} * 1e6)::hugeint) filter (where is_first_scored), 0)::hugeint as score_{{ name }}
    {{- ',' if not loop.last }}
    {% endfor %}
from firsts
group by all
