with final as (
    select application_id, decision, reason, decided_at, decided_by
    from {{ source('ops', 'loan_verdicts') }}
    qualify row_number() over (partition by application_id order by verdict_id desc) = 1
)

select
    machine.decision_id,
    machine.application_id,
    machine.client_id,
    machine.decided_at,
    machine.score,
    machine.points,
    machine.decision,
    machine.reasons,
    machine.model_version,
    machine.policy_version,
    machine.waited_ms,
    machine.latency_ms,
    machine.degraded_reason,
    machine.challenger ->> '$.version' as challenger_version,
    (machine.challenger ->> '$.score')::double as challenger_score,
    machine.challenger ->> '$.decision' as challenger_decision,
    -- a decision log that was lost or restored from a copy has decided some applications again
    count(*) over (partition by machine.application_id) - 1 as earlier_decisions,
    final.decision as final_decision,
    final.reason as final_reason,
    final.decided_at as final_decided_at,
    final.decided_by as final_decided_by
from {{ source('ops', 'loan_decisions') }} as machine
left join final on final.application_id = machine.application_id
qualify
    row_number() over (
        partition by machine.application_id order by machine.decided_at desc, machine.decision_number desc
    ) = 1
