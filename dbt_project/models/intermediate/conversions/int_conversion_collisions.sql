{{ config(materialized='view') }}
-- An id stands for one visitor at one time. Where a file has it for others, ids were lost, as by a spreadsheet that
-- writes 2.02400E+11, and conversions with them.
with collisions as (
    select conversion_id, _batch_id, count(distinct row(session_id, created_at)) as versions
    from {{ ref('stg_conversions') }}
    group by conversion_id, _batch_id
    having count(*) > 1 and count(distinct row(session_id, created_at)) > 1
)

select
    conversion_id,
    max(collisions.versions) as versions,
    any_value(held._batch_id) as _batch_id,
    any_value(_source_file) as _source_file,
    any_value(_source_row) as _source_row
from collisions
join {{ ref('int_conversions_current') }} as held using (conversion_id)
where held.versions = 1
group by conversion_id
