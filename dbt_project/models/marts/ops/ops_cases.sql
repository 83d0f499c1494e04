{{ config(materialized='view') }}
-- The last change of a case has its state. A state store that was lost counts its changes again from 1.
select
    case_id,
    domain,
    kind,
    subject_id,
    group_id,
    person_kind,
    person_id,
    title,
    score,
    priority,
    origin,
    share,
    opened_at,
    state,
    owner,
    snoozed_until,
    verdict,
    reason,
    version,
    changed_at,
    changed_by
from {{ source('ops', 'case_events') }}
qualify row_number() over (partition by case_id order by event_id desc) = 1
