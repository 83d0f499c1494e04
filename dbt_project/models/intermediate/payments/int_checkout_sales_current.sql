{{ config(unique_key=['source_file', 'hour']) }}
{{ current_version(
    staged=ref('stg_checkout_sales'),
    dataset='checkout_sales',
    key=['source_file', 'hour'],
    content=['today', 'yesterday', 'same_day_last_week', 'avg_last_week', 'avg_last_month'],
) }}
