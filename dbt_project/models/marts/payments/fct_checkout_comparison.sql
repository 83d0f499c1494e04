-- Today against yesterday, last week and the averages. Each column is first scaled to the level of today (the median
-- over its busy hours of today divided by that column). The usual level of an hour is the median of the columns, so that
-- one anomalous day changes it little.
{% set fewest_sales_for_level = 5 %}

with long as (
    unpivot (
        select
            source_file, hour, today, yesterday::double as yesterday,
            same_day_last_week::double as same_day_last_week, avg_last_week, avg_last_month
        from {{ ref('fct_checkout_hours') }}
    ) on yesterday, same_day_last_week, avg_last_week, avg_last_month into name reference value sales
),

levels as (
    select
        source_file,
        reference,
        coalesce(median(today / sales) filter (where sales >= {{ fewest_sales_for_level }}), 1) as level
    from long
    group by source_file, reference
),

usual as (
    select source_file, hour, median(sales * level) as usual_sales
    from long
    join levels using (source_file, reference)
    group by source_file, hour
)

select
    source_file,
    hour,
    today,
    yesterday,
    same_day_last_week,
    avg_last_week,
    avg_last_month,
    usual_sales,
    today - usual_sales as difference,
    case when usual_sales > 0 then today / usual_sales end as share_of_usual
from {{ ref('fct_checkout_hours') }}
left join usual using (source_file, hour)
