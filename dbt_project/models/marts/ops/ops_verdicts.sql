{{ config(materialized='view') }}
select
    event_id as verdict_id,
    case_id,
    domain,
    kind,
    subject_id,
    group_id,
    person_kind,
    person_id,
    score,
    origin,
    share,
    opened_at,
    verdict,
    reason,
    changed_at as decided_at,
    changed_by as decided_by,
    row_number() over (partition by case_id order by event_id desc) = 1 as is_last
from {{ source('ops', 'case_events') }}
where action = 'decided'
