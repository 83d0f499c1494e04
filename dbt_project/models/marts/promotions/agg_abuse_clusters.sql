{{ config(tags=['results']) }}
with members as (
    select scores.*, users.created_at, users.is_abuser
    from {{ ref('fct_abuse_scores') }} as scores
    left join {{ ref('fct_promo_users') }} as users using (user_id)
    where scores.cluster_id is not null
),

used as (
    select cluster_id, promo_code, count(*) as uses
    from {{ ref('fct_promo_usages') }} as usages
    join members using (user_id)
    group by all
),

codes as (
    select
        cluster_id,
        sum(uses)::bigint as uses,
        count(*) as codes,
        arg_min(promo_code, (-uses, promo_code)) as top_code,
        max(uses) as top_code_uses
    from used
    group by cluster_id
),

keys as (
    select cluster_id, list(distinct kind order by kind) as shares
    from {{ source('ml', 'abuse_shared_keys') }}
    join members using (user_id)
    group by cluster_id
)

select
    members.cluster_id,
    count(*) as accounts,
    count(*) filter (decision = 'block') as blocked,
    count(*) filter (decision = 'review') as to_review,
    count(*) filter (is_abuser) as labelled_abusers,
    count(*) filter (not is_abuser) as labelled_honest,
    max(score) as highest_score,
    min(created_at) as first_sign_up_at,
    max(created_at) as last_sign_up_at,
    coalesce(any_value(codes.uses), 0)::bigint as uses,
    coalesce(any_value(codes.codes), 0)::bigint as codes,
    any_value(codes.top_code) as top_code,
    coalesce(any_value(codes.top_code_uses), 0)::bigint as top_code_uses,
    coalesce(any_value(keys.shares), [])::varchar[] as shares
from members
left join codes on codes.cluster_id = members.cluster_id
left join keys on keys.cluster_id = members.cluster_id
group by members.cluster_id
