{#- The column is null exactly where `<column>_missing_reason` says why; fails with the rows where only one is. -#}
{% test missing_with_reason(model, column_name) %}
select {{ column_name }}, {{ column_name }}_missing_reason
from {{ model }}
where ({{ column_name }} is null) <> ({{ column_name }}_missing_reason is not null)
{% endtest %}
