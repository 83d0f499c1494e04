-- The attributes repeat on every row of an agency. Where rows contradict each other, the latest plausible year decides,
-- else the later file; all attributes come from one row, so that they are consistent.
with batches as (
    select batch_id as _batch_id, effective_date, arrived_at
    from {{ source('ops', 'batches') }}
    where dataset = 'agency_performance'
),

ranked as (
    select
        agency_id,
        {{ agency_attributes() | join(',\n        ') }},
        coalesce(min(year) filter (where is_plausible) over agency, min(year) over agency) as first_year,
        coalesce(max(year) filter (where is_plausible) over agency, max(year) over agency) as last_year,
        row_number() over (
            partition by agency_id
            order by
                is_plausible desc, year desc, effective_date desc, arrived_at desc, _batch_id desc, _source_row desc
        ) as precedence
    from {{ ref('int_agency_performance_current') }}
    join batches using (_batch_id)
    join ({{ plausible_years() }}) using (year)
    window agency as (partition by agency_id)
)

select
    agency_id,
    {{ agency_attributes() | join(',\n    ') }},
    first_year,
    last_year
from ranked
where precedence = 1
