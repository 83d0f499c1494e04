{#-
The body of a model with the current version of each key.

The later effective date wins, else the later arrival, else the order in `tie_break` (SQL order terms over the staged
columns), else the greater batch id and, inside a batch, the later row: a total order, so that the order in which
batches are loaded does not matter.

Columns: the key, the content, provenance, and
    versions    number of different contents of the key across batches; repetition inside one batch is no conflict
    settled_by  the rule that decided: later_date, later_arrival or tie_break; null where versions = 1

staged: the staging relation. key, content: lists of its columns; no key column is ever null.
Incremental runs recompute only keys in batches not modelled yet. Most keys have a single row: only keys with several
rows are ranked.
-#}
{% macro current_version(staged, dataset, key, content, tie_break=[]) %}
{%- set key_columns = key | join(', ') -%}
{%- set columns = (key + content + ['_batch_id', '_source_file', '_source_row']) | join(', ') -%}
{%- set order_in_batch = (tie_break + ['_source_row desc']) | join(', ') -%}
{%- set order_of_versions = (
    ['effective_date desc', 'arrived_at desc'] + tie_break + ['_batch_id desc', '_source_row desc']
) | join(', ') -%}
with batches as (
    select batch_id as _batch_id, effective_date, arrived_at, modelled_at
    from {{ source('ops', 'batches') }}
    where dataset = '{{ dataset }}'
),

{% if is_incremental() -%}
touched_keys as (
    select distinct {{ key_columns }}
    from {{ staged }}
    where _batch_id in (select _batch_id from batches where modelled_at is null)
),

candidates as (
    select {{ columns }} from {{ staged }} semi join touched_keys using ({{ key_columns }})
),
{%- else -%}
candidates as not materialized (
    select {{ columns }} from {{ staged }}
),
{%- endif %}

contested_keys as (
    select {{ key_columns }} from candidates group by all having count(*) > 1
),

contested_rows as (
    select
        candidates.*,
        effective_date,
        arrived_at,
        row({{ content | join(', ') }}) as row_content,
        row_number() over (partition by {{ key_columns }} order by {{ order_of_versions }}) as precedence,
        row_number() over (partition by {{ key_columns }}, _batch_id order by {{ order_in_batch }})
            as precedence_in_batch
    from candidates
    semi join contested_keys using ({{ key_columns }})
    join batches using (_batch_id)
),

-- Each batch's content of a key, and the current version.
batch_versions as (
    select
        {{ key_columns }},
        row_content,
        effective_date,
        arrived_at,
        first_value(row_content) over by_precedence as held_content,
        first_value(effective_date) over by_precedence as held_date,
        first_value(arrived_at) over by_precedence as held_arrival
    from contested_rows
    where precedence_in_batch = 1
    window by_precedence as (partition by {{ key_columns }} order by precedence)
),

verdicts as (
    select
        {{ key_columns }},
        count(distinct row_content) as versions,
        case
            when count(distinct row_content) = 1 then null
            when min(held_date) > max(effective_date) filter (where row_content is distinct from held_content)
                then 'later_date'
            when min(held_arrival) > max(arrived_at) filter (
                where row_content is distinct from held_content and effective_date = held_date
            ) then 'later_arrival'
            else 'tie_break'
        end as settled_by
    from batch_versions
    group by {{ key_columns }}
)

select {{ columns }}, 1::bigint as versions, null::varchar as settled_by
from candidates
anti join contested_keys using ({{ key_columns }})
union all
select {{ columns }}, versions, settled_by
from contested_rows
join verdicts using ({{ key_columns }})
where precedence = 1
{% endmacro %}
