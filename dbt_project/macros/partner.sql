{#-
The partner in the name of a broker's file: the part before two underscores, as in northern__2024-05.csv; null without it.

Copies are folded first: a browser or mail program writes "broker_data (1).csv" or "broker_data__1_.csv", and people write
"broker_data - Copy.csv" or "Kopie von broker_data.csv". None of these is a partner.
-#}
{% macro partner_in_name(file) -%}
    {%- set stem = "regexp_replace(lower(regexp_extract(" ~ file ~ ", '[^/]*$')), '(\\.(csv|tsv|txt|xlsx|xlsm|xls|parquet|jsonl?|gz|zst|bz2|zip))+$', '')" -%}
    {%- set words = 'copy|kopie|kopia|kopi|copie|copia|cópia|conflicted copy' -%}
    {%- set prefix = "'^((copy of|kopie von|kopie van|copie de|copia de|copia di|cópia de|kopia)[\\s_-]+)+'" -%}
    {%- set suffix = "'([\\s_-]*\\(\\d+\\)|_+\\d+_|[\\s_-]+(" ~ words ~ ")([\\s_]*\\(?\\d+\\)?_?)?|[\\s_-]*\\([^)]*(" ~ words ~ ")[^)]*\\))+$'" -%}
    nullif(trim(regexp_extract(regexp_replace(regexp_replace({{ stem }}, {{ prefix }}, ''), {{ suffix }}, ''), '^(.+?)__', 1)), '')
{%- endmacro %}
