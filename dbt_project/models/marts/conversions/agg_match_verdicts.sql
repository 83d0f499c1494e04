{{ config(tags=['results']) }}
-- A sampled match counts for as many matches as its share stands for. The interval is Wilson's.
with last_verdict as (
    select *
    from {{ source('ops', 'pair_verdicts') }}
    qualify row_number() over (partition by conversion_id, broker_row_id order by verdict_id desc) = 1
),

sampled as (
    select
        count(*) as judged,
        sum(is_link::integer / share) / sum(1 / share) as precision,
        pow(sum(1 / share), 2) / sum(pow(1 / share, 2)) as effective
    from last_verdict
    where share < 1
),

reviewed as (
    select count(*) as judged, avg(is_link::integer) as link_share
    from last_verdict
    where share = 1
),

tiers as (
    select
        count(*) filter (tier = 'matched') as matched,
        count(*) filter (tier = 'review') as in_review
    from {{ ref('fct_conversion_matches') }}
)

select
    sampled.judged as sampled_matches_judged,
    sampled.precision,
    greatest(0, (precision + 1.92 / effective - 1.96 * sqrt(precision * (1 - precision) / effective
        + 0.96 / pow(effective, 2))) / (1 + 3.84 / effective)) as precision_low,
    least(1, (precision + 1.92 / effective + 1.96 * sqrt(precision * (1 - precision) / effective
        + 0.96 / pow(effective, 2))) / (1 + 3.84 / effective)) as precision_high,
    reviewed.judged as reviewed_pairs_judged,
    reviewed.link_share as review_link_share,
    precision * matched / nullif(precision * matched + coalesce(link_share, 0) * in_review, 0) as recall
from sampled
cross join reviewed
cross join tiers
where sampled.judged + reviewed.judged > 0
