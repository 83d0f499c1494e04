{{ config(meta={'dagster': {'ref': {'name': 'fct_payment_minutes'}}}) }}
-- Every day has each of its 1,440 minutes for every status.
select day, count(*) as rows, count(distinct minute_at) as minutes
from {{ ref('fct_payment_minutes') }}
group by day
having count(distinct minute_at) <> 1440
    or count(*) <> 1440 * (select count(distinct status) from {{ ref('fct_payment_minutes') }})
