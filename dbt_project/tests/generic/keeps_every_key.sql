{#- Precedence loses no key: as many rows as `staged` has keys of `columns`. -#}
{% test keeps_every_key(model, staged, columns) %}
select staged_keys, mart_rows
from (select count(distinct row({{ columns | join(', ') }})) as staged_keys from {{ staged }})
cross join (select count(*) as mart_rows from {{ model }})
where staged_keys <> mart_rows
{% endtest %}
