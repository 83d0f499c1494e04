{{ config(materialized='view') }}
{#- A view: it reads only conflicting keys, and no batch rebuilds it. Where one domain was built alone, the models of
the others do not exist yet and are left out. #}
{#- The keys of each domain's models are in its macro `keys__<domain>`. #}
{%- set keys = {} -%}
{%- for name in context.keys() | sort if name.startswith('keys__') -%}
{%- do keys.update(context[name]()) -%}
{%- endfor %}
{#- Keys that one file gives to different things are in the models of `collisions__<domain>`. #}
{%- set collisions = {} -%}
{%- for name in context.keys() | sort if name.startswith('collisions__') -%}
{%- do collisions.update(context[name]()) -%}
{%- endfor %}
select
    null::varchar as dataset,
    null::varchar as key,
    null::bigint as versions,
    null::varchar as kept_file,
    null::bigint as kept_row,
    null::varchar as rule,
    null::varchar as kept_batch_id
where false
{% for dataset, key in keys.items() -%}
{%- set current = ref('int_' ~ dataset ~ '_current') -%}
{%- if load_relation(current) is not none %}
union all
select
    '{{ dataset }}',
    concat_ws(', ', {% for column in key %}'{{ column }} ' || {{ column }}{{ ', ' if not loop.last }}{% endfor %}),
    versions,
    _source_file,
    _source_row,
    settled_by,
    _batch_id
from {{ current }}
where versions > 1
{%- endif %}
{% endfor %}
{% for dataset, model in collisions.items() -%}
{%- set current = ref(model) -%}
{%- if load_relation(current) is not none %}
union all
select
    '{{ dataset }}',
    concat_ws(', ', {% for column in keys[dataset] %}'{{ column }} ' || {{ column }}{{ ', ' if not loop.last }}{% endfor %}),
    versions,
    _source_file,
    _source_row,
    'same_file',
    _batch_id
from {{ current }}
{%- endif %}
{% endfor %}
