{#-
The batches that an incremental model must process. A batch never changes: other content is another batch.
-#}

{#- A `where` that selects the rows of batches missing from the model; empty in a full build. -#}
{% macro where_batch_is_new(dataset) -%}
    {%- set batches = source('ops', 'batches') -%}
    {%- if is_incremental() -%}
where _batch_id in (
    select batch_id
    from {{ batches }}
    where dataset = '{{ dataset }}' and status = 'loaded' and batch_id not in (select distinct _batch_id from {{ this }})
)
    {%- endif -%}
{%- endmacro %}

{#- The batches that the models have not processed yet, as a subquery of one column. -#}
{% macro unmodelled_batches(dataset) -%}
(select batch_id from {{ source('ops', 'batches') }} where dataset = '{{ dataset }}' and modelled_at is null)
{%- endmacro %}
