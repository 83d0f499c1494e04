{{ config(materialized='view') }}
select
    run_id,
    report,
    written_at,
    written_by,
    parameters,
    format,
    rows,
    total_written_premium,
    snapshot
from {{ source('ops', 'report_runs') }}
