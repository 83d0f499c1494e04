select
    decision_id,
    application_id,
    client_id,
    decided_at,
    score,
    points,
    decision,
    reasons,
    model_version,
    policy_version,
    waited_ms,
    latency_ms,
    degraded_reason,
    challenger ->> '$.version' as challenger_version,
    (challenger ->> '$.score')::double as challenger_score,
    challenger ->> '$.decision' as challenger_decision,
    -- a decision log that was lost or restored from a copy has decided some applications again
    count(*) over (partition by application_id) - 1 as earlier_decisions
from {{ source('ops', 'loan_decisions') }}
qualify row_number() over (partition by application_id order by decided_at desc, decision_number desc) = 1
