select
    year,
    months_covered,
    is_complete,
    label
from {{ ref('int_years') }}
