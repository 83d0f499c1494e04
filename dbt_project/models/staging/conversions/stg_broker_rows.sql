with typed as (
    select
        -- The column of the file, else the part of its name before two underscores, else one partner for all.
        coalesce(
            nullif(trim(lower(contract.as_code(partner))), ''), {{ partner_in_name('_source_file') }}, 'broker'
        ) as partner,
        make_timestamp(contract.as_unix_seconds("timestamp") * 1000000) as broker_at,
        country_residency as residency_name,
        ip_country as ip_name,
        contract.as_number(important_score) as important_score,
        case
            when coalesce(contract.is_missing(important_score) and important_score != '#N/A', true) then 'empty_in_source'
            when contract.as_number(important_score) is null then 'spreadsheet_error'
        end as important_score_missing_reason,
        _batch_id,
        _source_file,
        _source_row
    from {{ source('raw', 'broker_rows') }}
    {{ where_batch_is_new('broker_rows') }}
)

select
    -- Broker rows have no key: equal rows are identified by content; null differs from any text.
    md5(row(partner, broker_at, residency_name, ip_name, important_score, important_score_missing_reason)::varchar)
        as content_key,
    *
from typed
