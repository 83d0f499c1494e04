"""The insurance inbox: the schema of agency performance files.

Sentinels such as 99999 pass as values here; `normalise.py` turns them into nulls.
"""

import pandera.pandas as pa

from quintet.ingest.contract import Dataset, identifier, integer, number, one_of, text

_YEAR_TO_DATE_COUNTS = (
    *("cl_bound_ct_mds", "cl_quo_ct_mds", "cl_bound_ct_sbz", "cl_quo_ct_sbz", "cl_bound_ct_eqt", "cl_quo_ct_eqt"),
    *("pl_bound_ct_elinks", "pl_quo_ct_elinks", "pl_bound_ct_plrank", "pl_quo_ct_plrank"),
    *("pl_bound_ct_eqtte", "pl_quo_ct_eqtte", "pl_bound_ct_applied", "pl_quo_ct_applied"),
    *("pl_bound_ct_transactnow", "pl_quo_ct_transactnow"),
)

LARGEST_AMOUNT_USD = 100_000_000_000
"""Up to here a float is nearer to its number of four decimals than to any other: the cast to DECIMAL is exact."""
LARGEST_COUNT = 1_000_000_000
"""The largest number of policies, quotes or producers: a sum of them fits into 64 bits."""


def _amount(description: str) -> pa.Column:
    return number(description, -LARGEST_AMOUNT_USD, LARGEST_AMOUNT_USD, is_money=True)


def _policies(description: str) -> pa.Column:
    return integer(description, -LARGEST_COUNT, LARGEST_COUNT)


_SYSTEM_YEARS = (
    *("pl_start_year", "pl_end_year", "commisions_start_year", "commisions_end_year"),  # spelt so in the source
    *("cl_start_year", "cl_end_year", "activity_notes_start_year", "activity_notes_end_year"),
)

AGENCY_PERFORMANCE = Dataset(
    name="agency_performance",
    domain="insurance",
    description="Premium, losses and policies of an agency by product, state and year.",
    schema=pa.DataFrameSchema(
        {
            "agency_id": integer("The agency.", 0),
            "primary_agency_id": integer("The agency's master; 99999 where it is unknown.", 0),
            "prod_abbr": identifier("Product code; inner spaces are part of it, case and blanks around it are not."),
            "prod_line": one_of("Commercial or personal lines.", ("CL", "PL")),
            "state_abbr": identifier("Postal code of the state."),
            "stat_profile_date_year": integer("The year that the row covers, in whole or in part.", 1900, 2199),
            "retention_poly_qty": _policies("Policies retained from the year before."),
            "poly_inforce_qty": _policies("Policies in force."),
            "prev_poly_inforce_qty": _policies("Policies in force in the year before."),
            "nb_wrtn_prem_amt": _amount("New business written premium, USD."),
            "wrtn_prem_amt": _amount("Written premium, USD; negative amounts are real."),
            "prev_wrtn_prem_amt": _amount("Written premium of the year before, USD."),
            "prd_ernd_prem_amt": _amount("Earned premium, USD."),
            "prd_incrd_losses_amt": _amount("Incurred losses, USD; negative amounts are real."),
            "months": integer("Number of months of the year that the row covers.", 1, 12),
            "retention_ratio": number("Share of the policies retained.", nullable=True, required=False),
            "loss_ratio": number("Losses, divided by written premium.", nullable=True, required=False),
            "loss_ratio_3yr": number("Loss ratio over three years.", nullable=True, required=False),
            "growth_rate_3yr": number("Growth of written premium over three years.", nullable=True, required=False),
            "agency_appointment_year": integer(
                "The year the agency was appointed.", 0, 99_999, nullable=True, required=False
            ),
            "active_producers": integer("Producers active at the agency.", 0, 99_999, nullable=True, required=False),
            "max_age": integer("Age of the oldest producer, years.", 0, 99_999, nullable=True, required=False),
            "min_age": integer("Age of the youngest producer, years.", 0, 99_999, nullable=True, required=False),
            "vendor_ind": text("Whether the agency works with a vendor.", nullable=True, required=False),
            "vendor": text("The vendor of the agency's management system.", nullable=True, required=False),
            **{
                name: integer(
                    "Year in which the agency began or ended using a system.", 0, 99_999, nullable=True, required=False
                )
                for name in _SYSTEM_YEARS
            },
            **{
                name: integer(
                    "Quotes or bound policies of the agency to date.", 0, LARGEST_COUNT, nullable=True, required=False
                )
                for name in _YEAR_TO_DATE_COUNTS
            },
        },
        name="agency_performance",
    ),
    key=("agency_id", "prod_abbr", "state_abbr", "stat_profile_date_year"),
)

DATASETS = (AGENCY_PERFORMANCE,)
