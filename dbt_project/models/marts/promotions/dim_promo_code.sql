-- As for broker rows: equal rows of overlapping files count once, so that a repeated file changes no count.
with rows_by_batch as (
    select promo_code, discount_type, discount_value, min_purchase_amount, _batch_id, count(*) as rows
    from {{ ref('stg_promo_codes') }}
    group by all
),

terms as (
    select promo_code, discount_type, discount_value, min_purchase_amount, max(rows) as source_rows
    from rows_by_batch
    group by all
),

merged as (
    select
        promo_code,
        sum(source_rows)::bigint as source_rows,
        count(*) as distinct_terms,
        to_json(
            list(
                {
                    'discount_type': discount_type,
                    'discount_value': discount_value,
                    'min_purchase_amount': min_purchase_amount,
                    'source_rows': source_rows
                }
                order by discount_type, discount_value, min_purchase_amount desc nulls last
            )
        )::varchar as merged_terms
    from terms
    group by promo_code
)

select
    promo_code,
    discount_type,
    discount_value,
    min_purchase_amount,
    source_rows,
    merged_terms,
    case
        when distinct_terms = 1 and source_rows = 1 then null
        when distinct_terms = 1 then 'equal_rows'
        when settled_by in ('later_date', 'later_arrival') then 'latest_terms_hold'
        else 'least_generous_terms_hold'
    end as merge_reason,
    _batch_id,
    _source_file,
    _source_row
from {{ ref('int_promo_codes_current') }}
join merged using (promo_code)
