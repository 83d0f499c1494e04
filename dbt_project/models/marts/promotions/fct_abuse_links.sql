{{ config(tags=['results']) }}
-- The shared keys of a pair; a link can also rest on keys that other accounts share by now.
with shared as (
    select
        links.user_id,
        links.linked_user_id,
        list(distinct own.kind order by own.kind) as shares
    from {{ source('ml', 'abuse_links') }} as links
    join {{ source('ml', 'abuse_shared_keys') }} as own on own.user_id = links.user_id
    join {{ source('ml', 'abuse_shared_keys') }} as other
        on other.user_id = links.linked_user_id and other.kind = own.kind and other.key = own.key
    group by all
)

select
    links.user_id::varchar as user_id,
    links.linked_user_id::varchar as linked_user_id,
    links.weight::double as weight,
    coalesce(shared.shares, [])::varchar[] as shares,
    scores.cluster_id
from {{ source('ml', 'abuse_links') }} as links
join {{ ref('fct_abuse_scores') }} as scores using (user_id)
left join shared using (user_id, linked_user_id)
