{{ config(unique_key=transactions_key()) }}
{{ current_version(
    staged=ref('stg_transactions'),
    dataset='transactions',
    key=transactions_key(),
    content=['transaction_count'],
) }}
