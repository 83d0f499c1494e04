{{ config(materialized='view', tags=['results']) }}
select
    client_id::bigint as client_id,
    as_of::date as as_of,
    days_since_first_loan::bigint as days_since_first_loan,
    days_since_last_late_payment::bigint as days_since_last_late_payment,
    late_payments_share::double as late_payments_share,
    open_loans_count::bigint as open_loans_count,
    outstanding_principal::double as outstanding_principal,
    overdue_loans_count::bigint as overdue_loans_count,
    paid_loans_count::bigint as paid_loans_count,
    profit_in_last_90_days_rate::double as profit_in_last_90_days_rate
from {{ source('ml_lending', 'client_features') }}
