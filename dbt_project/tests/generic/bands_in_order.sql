{#- A wider band contains the narrower one, and lower ends are below upper ends; fails with the other rows. -#}
{% test bands_in_order(model) %}
select *
from {{ model }}
where lo80 > hi80 or lo95 > hi95 or lo95 > lo80 or hi80 > hi95
{% endtest %}
