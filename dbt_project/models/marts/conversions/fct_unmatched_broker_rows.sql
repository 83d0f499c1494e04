{{ config(tags=['results']) }}
select
    unmatched.broker_row_id,
    rows.broker_source_file,
    rows.broker_source_row,
    rows.partner,
    rows.broker_at,
    rows.residency_iso2,
    rows.ip_iso2,
    rows.important_score,
    unmatched.reason
from {{ source('matching', 'unmatched_broker_rows') }} as unmatched
join {{ ref('fct_broker_rows') }} as rows using (broker_row_id)
