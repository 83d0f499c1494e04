{#- As many rows as `other`: nothing lost, no fan-out. -#}
{% test same_number_of_rows(model, other) %}
select here, there
from (select count(*) as here from {{ model }})
cross join (select count(*) as there from {{ other }})
where here <> there
{% endtest %}
