{#-
Every minute of the days for every status ever seen, as the body of a query. The source omits zero counts as well as
whole minutes: a count of 0 is a zero where the minute has any row (is_observed), and unknown where it has none.

days: a relation with the column day; each day once.
-#}
{% macro payment_minutes(days) %}
with statuses as (
    select distinct status from {{ ref('int_transactions_current') }}
),

current_counts as (
    {%- if payment_dimensions() %}
    -- The sum over all combinations of values; the last row of them is named.
    select
        day,
        minute_of_day,
        status,
        sum(transaction_count)::bigint as transaction_count,
        arg_max(_batch_id, (_batch_id, _source_row)) as _batch_id,
        arg_max(_source_file, (_batch_id, _source_row)) as _source_file,
        arg_max(_source_row, (_batch_id, _source_row)) as _source_row
    from {{ ref('int_transactions_current') }}
    semi join {{ days }} using (day)
    group by day, minute_of_day, status
    {%- else %}
    select * from {{ ref('int_transactions_current') }} semi join {{ days }} using (day)
    {%- endif %}
),

observed_minutes as (
    select distinct day, minute_of_day from current_counts
),

calendar as (
    select day, minute_of_day::integer as minute_of_day, status
    from {{ days }}
    cross join range(1440) as minutes (minute_of_day)
    cross join statuses
)

select
    calendar.day,
    calendar.day::timestamp + to_minutes(calendar.minute_of_day) as minute_at,
    calendar.status,
    coalesce(current_counts.transaction_count, 0) as count,
    observed_minutes.day is not null as is_observed,
    calendar.minute_of_day,
    current_counts._batch_id,
    current_counts._source_file,
    current_counts._source_row
from calendar
left join observed_minutes using (day, minute_of_day)
left join current_counts using (day, minute_of_day, status)
{% endmacro %}
