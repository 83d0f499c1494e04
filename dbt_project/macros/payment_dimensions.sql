{#- The dimensions by which payments are also counted, as the setting names them. #}
{% macro payment_dimensions() %}
{{ return(var("payments_dimensions").replace(",", " ").split()) }}
{% endmacro %}

{#- What identifies a count of transactions: also its values, if there are dimensions. #}
{% macro transactions_key() %}
{{ return(["day", "minute_of_day", "status"] + (["labels"] if payment_dimensions() else [])) }}
{% endmacro %}

{#-
The values of a row of transactions as a JSON object, as they are written in columns of the file that are named like a
dimension; in lower case, in capitals, or with one capital. Without any value it is {}.
-#}
{% macro payment_labels() %}
json_merge_patch('{}', json_object(
    {%- for name in payment_dimensions() %}
    '{{ name }}', coalesce(
        _extra ->> '$."{{ name }}"', _extra ->> '$."{{ name | capitalize }}"', _extra ->> '$."{{ name | upper }}"'
    ){{ "," if not loop.last }}
    {%- endfor %}
))::varchar
{% endmacro %}
