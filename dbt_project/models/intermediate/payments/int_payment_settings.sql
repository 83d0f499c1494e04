{{ config(materialized='view') }}
select
    '{{ var("payments_dimensions") }}' as dimensions,
    '{{ var("payment_value") }}' as default_value,
    '{{ var("payments_values") }}' as series_values,
    '{{ var("payments_critical_loss") }}' as critical_loss
