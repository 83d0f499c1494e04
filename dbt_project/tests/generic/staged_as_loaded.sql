{#- Each batch has as many rows in staging as the loader loaded; fails with the batches that differ. -#}
{% test staged_as_loaded(model, dataset) %}
with loaded as (
    select batch_id, loaded
    from {{ source('ops', 'batches') }}
    where dataset = '{{ dataset }}' and status = 'loaded' and loaded > 0
),

staged as (
    select _batch_id as batch_id, count(*) as staged from {{ model }} group by all
)

select batch_id, loaded, staged
from loaded
full join staged using (batch_id)
where loaded is distinct from staged
{% endtest %}
