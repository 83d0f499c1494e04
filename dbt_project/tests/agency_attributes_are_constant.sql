-- The attributes of an agency repeat on its rows; where they differ, the latest year decides and this test warns.
{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'dim_agency'}}}) }}
select agency_id, count(distinct row({{ agency_attributes() | join(', ') }})) as variants
from {{ ref('int_agency_performance_current') }}
group by agency_id
having count(distinct row({{ agency_attributes() | join(', ') }})) > 1
