-- Rows of one broker that arrive under the name of another are a copied file; this test warns.
{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'dim_partner'}}}) }}
select partner, rows, repeats_partner, repeated_rows
from {{ ref('dim_partner') }}
where repeats_partner is not null
