select
    year,
    months_covered,
    rows,
    usual_rows,
    is_complete,
    incomplete_reason,
    label
from {{ ref('int_years') }}
