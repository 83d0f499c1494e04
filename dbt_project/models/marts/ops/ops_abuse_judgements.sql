{{ config(materialized='view') }}
select
    judgement_id,
    user_id,
    judged_at,
    judged_by,
    sign_up,
    usages,
    score,
    decision,
    reasons,
    cluster_id,
    cluster_size,
    model_version
from {{ source('ops', 'abuse_judgements') }}
