"""The part of insurance that a key which is bound to agencies may see."""

from quintet.row_policy import RowPolicy

_OWN = "agency_id in (from bound.agency)"


AGENCY = RowPolicy(
    kind="agency",
    type="bigint",
    domain="insurance",
    scopes=("insurance:read", "insurance:schedule"),
    pages=("/insurance", "/reports", "/docs"),
    known="marts.dim_agency.agency_id",
    tables={
        "marts.fct_agency_performance": f"from whole.marts.fct_agency_performance where {_OWN}",
        # a master that the key does not see is unknown to it
        "marts.dim_agency": (
            "select * replace (if(primary_agency_id in (from bound.agency), primary_agency_id, null) "
            f"as primary_agency_id) from whole.marts.dim_agency where {_OWN}"
        ),
        "marts.dim_agency_segment": f"from whole.marts.dim_agency_segment where {_OWN}",
        "marts.dim_product": (
            "select products.* replace (own.first_year as first_year, own.last_year as last_year) "
            "from whole.marts.dim_product as products join (select prod_abbr, min(year) as first_year, "
            "max(year) as last_year from marts.fct_agency_performance group by all) as own using (prod_abbr)"
        ),
        "marts.dim_state": (
            "select state_abbr, count(distinct agency_id) as agencies, min(year) as first_year, max(year) as last_year "
            "from marts.fct_agency_performance group by all"
        ),
        "marts.dim_year": (
            "select years.* replace (own.rows as rows, null::double as usual_rows) from whole.marts.dim_year as years "
            "join (select year, count(*) as rows from marts.fct_agency_performance group by all) as own using (year)"
        ),
        "marts.fct_premium_forecast": f"from whole.marts.fct_premium_forecast where {_OWN}",
        "marts.fct_premium_forecast_backtest": f"from whole.marts.fct_premium_forecast_backtest where {_OWN}",
        # of the whole book, and not split
        "marts.fct_premium_forecast_scores": "from whole.marts.fct_premium_forecast_scores where false",
    },
)
