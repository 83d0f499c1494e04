{{ config(tags=['results']) }}
select
    date_trunc('month', coalesce(detected_at, decided_at))::date as month,
    count(*) as judged,
    count(*) filter (verdict = 'true') as true_incidents,
    count(*) filter (verdict = 'false') as false_incidents,
    count(*) filter (verdict = 'expected') as expected_incidents,
    avg(date_diff('second', detected_at, acknowledged_at) / 60.0) as minutes_to_acknowledge,
    avg(date_diff('second', detected_at, ended_at) / 60.0) as minutes_to_resolve
from {{ ref('fct_incident_verdicts') }}
group by month
