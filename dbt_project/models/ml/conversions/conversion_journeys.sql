{{ config(materialized='ephemeral') }}
-- Every conversion with its match, or the reason why it has none.
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
    matches.broker_row_id,
    broker_rows.partner,
    broker_rows.important_score
from {{ ref('int_conversions') }} as conversions
left join {{ source('matching', 'matches') }} as matches
    on conversions.conversion_id = matches.conversion_id and matches.tier = 'matched'
left join {{ ref('int_broker_rows') }} as broker_rows using (broker_row_id)
left join {{ source('matching', 'unmatched_conversions') }} as unmatched
    on conversions.conversion_id = unmatched.conversion_id
