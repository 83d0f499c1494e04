{{ config(tags=['results']) }}
-- The last label of a person decides, whatever the score: a confirmed abuser is blocked, a cleared account allowed.
with label as (
    select user_id, is_abuser
    from {{ source('ops', 'abuse_labels') }}
    qualify row_number() over (partition by user_id order by labelled_at desc, label_id desc) = 1
)

select
    scores.user_id::varchar as user_id,
    scores.score::double as score,
    case when label.is_abuser then 'block' when not label.is_abuser then 'allow' else scores.decision end::varchar
        as decision,
    scores.reasons::varchar[] as reasons,
    scores.cluster_id::varchar as cluster_id,
    scores.cluster_size::bigint as cluster_size,
    scores.model_version::varchar as model_version
from {{ source('ml', 'abuse_scores') }} as scores
left join label on label.user_id = scores.user_id
