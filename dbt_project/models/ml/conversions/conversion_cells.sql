-- A session counts once, with its first conversion: rows of one session tend to share their score, and counting them all
-- would count one person several times. Conversions of scanners are excluded.
{% set levels = {
    'country': "coalesce(country_iso2, '(unknown)')",
    'day': "strftime(created_at, '%Y-%m-%d')",
    'device': "case when is_mobile then 'mobile' when not is_mobile then 'desktop' else '(unknown)' end",
    'page_category': "coalesce(page_category, '(no page category)')",
    'ui_element': "coalesce(ui_element, '(no element)')",
} %}

{#- The dimensions that define equals: a page is not compared by its visitors' country. -#}
{% set equals = {
    'country': ['device', 'page_category'],
    'day': ['device', 'country'],
    'device': ['country', 'page_category'],
    'page_category': ['device', 'country'],
    'ui_element': ['device', 'country'],
} %}

{#- By measure: the conversions that count, and their values. -#}
{% set measures = {
    'match_rate': ("unmatched_reason is distinct from 'outside_time_span'", 'is_matched::int'),
    'important_share': ('is_matched and isfinite(important_score)', '(important_score > 0)::int'),
    'mean_score': ('is_matched and isfinite(important_score)', 'important_score'),
} %}

with journeys as materialized (
    select
        conversion_id,
        created_at,
        coalesce(session_id, 'conversion ' || conversion_id) as session,
        unmatched_reason,
        is_matched,
        important_score,
        {% for dimension, level in levels.items() -%}
        {{ level }} as level_{{ dimension }}{{ ',' if not loop.last }}
        {% endfor %}
    from {{ ref('conversion_journeys') }}
    where not is_scanner_traffic
),

{% for measure, (condition, value) in measures.items() -%}
counted_{{ measure }} as materialized (
    select
        *,
        ({{ value }})::double as value,
        row_number() over (partition by session order by created_at, conversion_id) = 1 as is_first
    from journeys
    where {{ condition }}
),

{% endfor -%}

cells as (
    {% for measure in measures -%}
    {% set outer = loop -%}
    {% for dimension in levels -%}
    select
        '{{ measure }}' as measure,
        '{{ dimension }}' as dimension,
        level_{{ dimension }} as level,
        level_{{ equals[dimension] | join(' || chr(31) || level_') }} as stratum,
        count(*) filter (where is_first) as n,
        count(*) as rows,
        {#- Sums of whole millionths: identical to the last digit in any order of rows. #}
        {% for name, power in {'total': 1, 'squares': 2, 'cubes': 3}.items() -%}
        coalesce(sum(round(value ** {{ power }} * 1e6)::hugeint) filter (where is_first), 0)::double / 1e6 as {{ name }}
        {{- ',' if not loop.last }}
        {% endfor -%}
    from counted_{{ measure }}
    group by level_{{ dimension }}, stratum
    {{ 'union all' if not (loop.last and outer.last) }}
    {% endfor -%}
    {% endfor %}
)

select
    row_number() over (order by measure, dimension, level, stratum) - 1 as place,
    *
from cells
