{{ config(tags=['results']) }}
select
    conversions.conversion_id,
    conversions.session_id,
    conversions.created_at,
    conversions.country_iso2,
    conversions.is_mobile,
    conversions.ui_element,
    conversions.page_category,
    conversions.is_scanner_traffic,
    matches.conversion_id is not null as is_matched,
    unmatched.reason as unmatched_reason,
    matches.partner,
    matches.broker_row_id,
    rows.broker_source_file,
    rows.broker_source_row,
    rows.broker_at,
    matches.lag_seconds,
    matches.match_probability,
    matches.runner_up_probability,
    rows.residency_iso2,
    rows.ip_iso2,
    rows.important_score,
    rows.important_score_missing_reason
from {{ ref('fct_conversions') }} as conversions
left join {{ source('matching', 'matches') }} as matches
    on conversions.conversion_id = matches.conversion_id and matches.tier = 'matched'
left join {{ ref('fct_broker_rows') }} as rows using (broker_row_id)
left join {{ source('matching', 'unmatched_conversions') }} as unmatched
    on conversions.conversion_id = unmatched.conversion_id
