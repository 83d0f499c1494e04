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
    select * from {{ ref('int_transactions_current') }} semi join {{ days }} using (day)
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
