{{ config(materialized='view', tags=['results']) }}
select
    user_id::varchar as user_id,
    score::double as score,
    decision::varchar as decision,
    reasons::varchar[] as reasons,
    cluster_id::varchar as cluster_id,
    cluster_size::bigint as cluster_size,
    model_version::varchar as model_version
from {{ source('ml', 'abuse_scores') }}
