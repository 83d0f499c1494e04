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
    challenger ->> '$.decision' as challenger_decision
from {{ source('ops', 'loan_decisions') }}
