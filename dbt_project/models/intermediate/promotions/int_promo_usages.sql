{{ config(materialized='view') }}
-- A view: a new code in the list applies to earlier uses. A use in another case is of the listed code, unless the list
-- itself has codes that differ in case alone. Where a user then has one use twice, the one in the code's own case counts.
with listed as (
    select upper(promo_code) as folded, min(promo_code) as listed_code
    from {{ ref('int_promo_codes_current') }}
    group by all
    having count(*) = 1
),

resolved as (
    select usages.*, coalesce(listed_code, promo_code) as resolved_code
    from {{ ref('int_promo_usages_current') }} as usages
    left join listed on upper(promo_code) = folded
),

folded as (
    select *
    from resolved
    where resolved_code <> promo_code
    qualify row_number() over (partition by user_id, resolved_code, used_at order by promo_code) = 1
)

select * exclude (resolved_code)
from resolved
where resolved_code = promo_code
union all
select folded.* exclude (resolved_code) replace (resolved_code as promo_code)
from folded
where not exists (
    from {{ ref('int_promo_usages_current') }} as same
    where same.user_id = folded.user_id and same.promo_code = resolved_code and same.used_at = folded.used_at
)
