{{ config(materialized='view') }}
select
    label_id,
    user_id,
    is_abuser,
    labelled_at,
    labelled_by,
    note
from {{ source('ops', 'abuse_labels') }}
