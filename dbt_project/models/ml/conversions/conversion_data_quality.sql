{% set loaded = "(select coalesce(sum(loaded), 0) from " ~ source('ops', 'batches') ~ " where dataset = 'conversions')" -%}

with all_conversions as (
    select * from {{ ref('int_conversions') }}
),

broker_rows as (
    select * from {{ ref('int_broker_rows') }}
),

frequent_codes as (
    select measurement_category, conversions
    from {{ ref('int_unmapped_page_categories') }}
    where not is_scanner_traffic or conversions > 10
    order by conversions desc, measurement_category
    limit 2
),

counts as (
    select
        0 as place,
        'unmapped_categories' as finding,
        count(*) filter (where page_category is null and not is_scanner_traffic) as rows,
        count(*) filter (where not is_scanner_traffic) as of,
        (
            select string_agg(
                measurement_category || ' (' || conversions || ')', ', ' order by conversions desc, measurement_category
            )
            from frequent_codes
        ) as example
    from all_conversions
    union all
    select
        1,
        'scanner_traffic',
        count(*) filter (where is_scanner_traffic),
        count(*),
        min(coalesce(ui_element, measurement_category)) filter (where is_scanner_traffic)
    from all_conversions
    union all
    select
        2,
        'invalid_scores',
        count(important_score_missing_reason),
        count(*),
        string_agg(distinct important_score_missing_reason, ', ' order by important_score_missing_reason)
    from broker_rows
    union all
    select 3, 'repeated_ids', {{ loaded }} - count(*), {{ loaded }}, null
    from all_conversions
    union all
    select
        4,
        'click_country_unknown',
        count(*) filter (where country_iso2 is null),
        count(*),
        min(country_name) filter (where country_iso2 is null)
    from all_conversions
    union all
    select
        5,
        'row_country_unknown',
        count(*) filter (where ip_iso2 is null),
        count(*),
        min(ip_name) filter (where ip_iso2 is null)
    from broker_rows
    union all
    select 6, 'residency_unknown', count(*) filter (where residency_iso2 is null), count(*), null
    from broker_rows
    union all
    select
        7,
        'country_never_seen',
        count(*) filter (where reason = 'country_never_seen'),
        (select count(*) from broker_rows),
        mode(ip_iso2 order by ip_iso2) filter (where reason = 'country_never_seen')
    from {{ source('matching', 'unmatched_broker_rows') }}
    join broker_rows using (broker_row_id)
    union all
    select 8, 'equal_rows', coalesce(sum(copies - 1), 0), (select count(*) from broker_rows), null
    from (
        select count(*) as copies
        from broker_rows
        group by partner, broker_at, residency_name, ip_name, important_score, important_score_missing_reason
        having count(*) > 1
    )
)

select
    place::bigint as place,
    finding,
    rows::bigint as rows,
    of::bigint as of,
    rows::bigint / nullif(of, 0) as share,
    example
from counts
