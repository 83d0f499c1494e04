select
    partner,
    rows,
    first_arrived_at,
    first_file,
    repeats_partner,
    repeated_rows
from {{ ref('int_partners') }}
