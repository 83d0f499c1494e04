{#- A band that holds more is no narrower, and none is turned round; fails with the rows that break this. -#}
{% test bands_in_order(model) %}
select *
from {{ model }}
where lo80 > hi80 or lo95 > hi95 or lo95 > lo80 or hi80 > hi95
{% endtest %}
