-- Each side has all four steps, even without any row.
{% set out_of_reach = ['outside_time_span', 'country_unknown', 'country_never_seen', 'partner_not_learned'] %}
{% set steps = ['all', 'in_reach', 'with_candidate', 'matched'] %}

with reached as (
    select
        number,
        sides.side,
        coalesce(sum(rows), 0) as reached_all,
        coalesce(sum(rows) filter (where outcome not in ('{{ out_of_reach | join("', '") }}')), 0) as reached_in_reach,
        coalesce(
            sum(rows) filter (where outcome not in ('{{ (out_of_reach + ['no_candidate']) | join("', '") }}')), 0
        ) as reached_with_candidate,
        coalesce(sum(rows) filter (where outcome = 'matched'), 0) as reached_matched
    from (values (0, 'clicks'), (1, 'broker_rows')) as sides (number, side)
    left join {{ ref('conversion_outcomes') }} as outcomes using (side)
    group by number, sides.side
)

{% for step in steps -%}
select
    ({{ steps | length }} * number + {{ loop.index0 }})::bigint as place,
    side,
    '{{ step }}' as step,
    reached_{{ step }}::bigint as rows,
    reached_{{ step }} / nullif(reached_all, 0) as share
from reached
{{ 'union all' if not loop.last }}
{% endfor %}
