{{ config(tags=['results']) }}
-- Batch detection names an incident as the live feed does, and may know its end where the verdict was given before it.
with last_verdict as (
    select *
    from {{ source('ops', 'payment_verdicts') }}
    qualify row_number() over (partition by incident_id order by verdict_id desc) = 1
)

select
    verdicts.incident_id,
    coalesce(verdicts.series, incidents.series) as series,
    verdicts.verdict,
    verdicts.cause,
    coalesce(verdicts.detected_at, incidents.detected_at) as detected_at,
    verdicts.acknowledged_at,
    coalesce(verdicts.ended_at, incidents.ended_at) as ended_at,
    verdicts.decided_at,
    verdicts.decided_by
from last_verdict as verdicts
left join {{ ref('fct_payment_incidents') }} as incidents using (incident_id)
