{{ config(unique_key=['day', 'minute_of_day', 'status']) }}
{{ current_version(
    staged=ref('stg_transactions'),
    dataset='transactions',
    key=['day', 'minute_of_day', 'status'],
    content=['transaction_count'],
) }}
