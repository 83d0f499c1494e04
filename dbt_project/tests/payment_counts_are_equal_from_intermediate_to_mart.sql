{{ config(meta={'dagster': {'ref': {'name': 'fct_payment_minutes'}}}) }}
-- The calendar adds only zeros.
select in_intermediate, in_mart
from (select coalesce(sum(transaction_count), 0) as in_intermediate from {{ ref('int_transactions_current') }})
cross join (select coalesce(sum(count), 0) as in_mart from {{ ref('fct_payment_minutes') }})
where in_intermediate <> in_mart
