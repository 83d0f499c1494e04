{{ config(materialized='view') }}
select
    '{{ var("payments_time_zone") }}' as time_zone,
    '{{ var("payments_opening_hours") }}' as opening_hours,
    '{{ var("payments_holidays") }}' as holidays
