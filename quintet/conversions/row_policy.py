"""The part of conversions that a key which is bound to partners may see."""

from quintet.row_policy import RowPolicy

_OWN = "partner in (from bound.partner)"

PARTNER = RowPolicy(
    kind="partner",
    type="varchar",
    domain="conversions",
    scopes=("conversions:read",),
    pages=("/search", "/docs"),
    known="marts.dim_partner.partner",
    tables={
        "marts.dim_partner": (
            "select * replace (if(repeats_partner in (from bound.partner), repeats_partner, null) as repeats_partner) "
            f"from whole.marts.dim_partner where {_OWN}"
        ),
        "marts.fct_broker_rows": f"from whole.marts.fct_broker_rows where {_OWN}",
        "marts.fct_unmatched_broker_rows": (
            "from whole.marts.fct_unmatched_broker_rows semi join marts.fct_broker_rows using (broker_row_id)"
        ),
        "marts.fct_conversion_matches": f"from whole.marts.fct_conversion_matches where {_OWN}",
        "marts.fct_conversions": (
            "from whole.marts.fct_conversions semi join marts.fct_conversion_matches using (conversion_id)"
        ),
        "marts.fct_unified_journeys": f"from whole.marts.fct_unified_journeys where {_OWN}",
    },
)
