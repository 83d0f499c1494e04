{#-
The column equals `numerator` / `denominator`, each summed from `fact` at the grain of `by`, and is null where the
denominator is not positive. Both are SQL over one row of the fact; rows where either is null count in neither.
-#}
{% test ratio_of_sums(model, column_name, fact, by, numerator, denominator) %}
with recomputed as (
    select
        {{ by | join(', ') }},
        sum(case when {{ denominator }} is not null then {{ numerator }} end) as numerator_sum,
        sum(case when {{ numerator }} is not null then {{ denominator }} end) as denominator_sum
    from {{ fact }}
    group by {{ by | join(', ') }}
)

select {{ by | join(', ') }}, {{ column_name }}, numerator_sum, denominator_sum
from recomputed
full join {{ model }} using ({{ by | join(', ') }})
where {{ column_name }} is distinct from
    case when denominator_sum > 0 then (numerator_sum / denominator_sum)::double end
{% endtest %}
