{% set levels = {
    'country': 'country',
    'day': "strftime(day, '%Y-%m-%d')",
    'device': 'device',
    'page_category': 'page_category',
    'ui_element': 'ui_element',
} %}

{#- The dimensions that define equals: a page is not compared by its visitors' country. -#}
{% set equals = {
    'country': ['device', 'page_category'],
    'day': ['device', 'country'],
    'device': ['country', 'page_category'],
    'page_category': ['device', 'country'],
    'ui_element': ['device', 'country'],
} %}

{#- By measure: the columns of the sessions and rows that count, and of the sums of their values. -#}
{% set measures = {
    'match_rate': ('reachable_sessions', 'reachable_conversions', ['matched_sessions'] * 3, '1.0'),
    'important_share': ('scored_sessions', 'scored_conversions', ['important_sessions'] * 3, '1.0'),
    'mean_score': ('scored_sessions', 'scored_conversions', ['score_total', 'score_squares', 'score_cubes'], '1e6'),
} %}

with cells as (
    {% for measure, (sessions, rows, sums, unit) in measures.items() -%}
    {% set outer = loop -%}
    {% for dimension, level in levels.items() -%}
    select
        '{{ measure }}' as measure,
        '{{ dimension }}' as dimension,
        {{ level }} as level,
        {{ equals[dimension] | join(' || chr(31) || ') }} as stratum,
        sum({{ sessions }})::bigint as n,
        sum({{ rows }})::bigint as rows,
        {% for name in ['total', 'squares', 'cubes'] -%}
        sum({{ sums[loop.index0] }})::double / {{ unit }} as {{ name }}{{ ',' if not loop.last }}
        {% endfor -%}
    from {{ ref('conversion_cube') }}
    where not is_scanner_traffic
    group by all
    having sum({{ rows }}) > 0
    {{ 'union all' if not (loop.last and outer.last) }}
    {% endfor -%}
    {% endfor %}
)

select
    row_number() over (order by measure, dimension, level, stratum) - 1 as place,
    *
from cells
