{{ config(tags=['results']) }}
select
    matches.conversion_id,
    rows.broker_source_file,
    rows.broker_source_row,
    matches.lag_seconds,
    matches.match_probability,
    matches.runner_up_probability,
    matches.tier,
    matches.partner,
    matches.broker_row_id
from {{ source('matching', 'matches') }} as matches
join {{ ref('fct_broker_rows') }} as rows using (broker_row_id)
