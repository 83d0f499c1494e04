"""Normalise the text of agency performance files to typed columns, in pandas.

The rows are yearly: `months` is the number of months of `year` that a row covers, not a month number. Reported ratios
are for comparison only; a summary recomputes them from sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import pandas as pd
import pandera.pandas as pa

from quintet.ingest.contract import read_values, without_missing
from quintet.insurance.contract import AGENCY_PERFORMANCE, LARGEST_AMOUNT_USD, LARGEST_COUNT

SENTINEL = 99_999
"""The source's placeholder for a missing value."""

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "master_unknown": "The agency exists, its master agency is unknown.",
        "previous_year_unknown": "The source has no figures of the year before.",
        "no_policies_in_previous_year": "A share of zero policies is undefined.",
        "written_premium_not_positive": "The loss ratio needs a written premium above zero.",
        "losses_without_written_premium": "The written premium is zero and the losses are above zero.",
        "negative_losses_without_written_premium": "The written premium is zero and the losses are below zero.",
        "not_reported": "The source wrote its sentinel without a reason.",
        "empty_in_source": "The cell is empty, or the file does not have the column.",
    }
)
"""Every code that a `*_missing_reason` column can hold, with its meaning."""

_KEYS = ("prod_abbr", "prod_line", "state_abbr", "year", "months")

_POLICY_COUNTS = MappingProxyType(
    {
        "retained_policies": "retention_poly_qty",
        "policies_in_force": "poly_inforce_qty",
        "prev_policies_in_force": "prev_poly_inforce_qty",
    }
)

_AMOUNTS = MappingProxyType(
    {
        "new_business_premium": "nb_wrtn_prem_amt",
        "written_premium": "wrtn_prem_amt",
        "prev_written_premium": "prev_wrtn_prem_amt",
        "earned_premium": "prd_ernd_prem_amt",
        "incurred_losses": "prd_incrd_losses_amt",
    }
)

_REPORTED_RATIOS = MappingProxyType(
    {
        "reported_retention_ratio": "retention_ratio",
        "reported_loss_ratio": "loss_ratio",
        "reported_loss_ratio_3yr": "loss_ratio_3yr",
        "reported_growth_rate_3yr": "growth_rate_3yr",
    }
)

MEASURES = (*_POLICY_COUNTS, *_AMOUNTS, *_REPORTED_RATIOS)
"""The figures of a row; each has a column `<measure>_missing_reason`."""

# New business premium is absent on purpose: its 99999 may be an amount, and so may one of written or earned premium
# and of losses.
_SENTINELS: Mapping[str, Mapping[int, str]] = MappingProxyType(
    {
        "primary_agency_id": {SENTINEL: "master_unknown"},
        "prev_policies_in_force": {SENTINEL: "previous_year_unknown"},
        "prev_written_premium": {SENTINEL: "previous_year_unknown"},
        "reported_retention_ratio": {SENTINEL: "not_reported"},
        "reported_loss_ratio": {
            99_999: "written_premium_not_positive",
            99_998: "losses_without_written_premium",
            99_997: "negative_losses_without_written_premium",
        },
        "reported_loss_ratio_3yr": {SENTINEL: "not_reported"},
        "reported_growth_rate_3yr": {SENTINEL: "not_reported"},
    }
)

_AGENCY_NUMBERS_BEFORE_VENDOR = MappingProxyType(
    {
        "appointment_year": "agency_appointment_year",
        "active_producers": "active_producers",
        "max_producer_age": "max_age",
        "min_producer_age": "min_age",
    }
)

_AGENCY_NUMBERS_AFTER_VENDOR = MappingProxyType(
    {
        "pl_start_year": "pl_start_year",
        "pl_end_year": "pl_end_year",
        "commissions_start_year": "commisions_start_year",  # spelt so in the source
        "commissions_end_year": "commisions_end_year",
        "cl_start_year": "cl_start_year",
        "cl_end_year": "cl_end_year",
        "activity_notes_start_year": "activity_notes_start_year",
        "activity_notes_end_year": "activity_notes_end_year",
        **{
            name: name
            for name in (
                *("cl_bound_ct_mds", "cl_quo_ct_mds", "cl_bound_ct_sbz", "cl_quo_ct_sbz"),
                *("cl_bound_ct_eqt", "cl_quo_ct_eqt"),
                *("pl_bound_ct_elinks", "pl_quo_ct_elinks", "pl_bound_ct_plrank", "pl_quo_ct_plrank"),
                *("pl_bound_ct_eqtte", "pl_quo_ct_eqtte", "pl_bound_ct_applied", "pl_quo_ct_applied"),
                *("pl_bound_ct_transactnow", "pl_quo_ct_transactnow"),
            )
        },
    }
)

_NO_VENDOR = "Unknown"
_AMOUNT_DECIMALS = 4


_WHOLE_NUMBERS = MappingProxyType(
    {
        "agency_id": "agency_id",
        "primary_agency_id": "primary_agency_id",
        "year": "stat_profile_date_year",
        "months": "months",
        **_POLICY_COUNTS,
    }
)
_RATIOS_AND_ATTRIBUTES = MappingProxyType(
    {**_REPORTED_RATIOS, **_AGENCY_NUMBERS_BEFORE_VENDOR, **_AGENCY_NUMBERS_AFTER_VENDOR}
)
_NUMBERS = MappingProxyType({**_WHOLE_NUMBERS, **_AMOUNTS, **_RATIOS_AND_ATTRIBUTES})
_CODES = ("prod_abbr", "prod_line", "state_abbr", "vendor_ind")

# Text is read as the contract reads it, so that no value passes the one and fails the other. Amounts are rounded here
# and nowhere else. Inner spaces are part of a product code; case and outer blanks would split one product in two.
_EXPRESSIONS: Mapping[str, str] = MappingProxyType(
    {
        **{name: f"contract.as_integer({source})" for name, source in _WHOLE_NUMBERS.items()},
        **{name: f"contract.as_money({source})::double" for name, source in _AMOUNTS.items()},
        **{name: f"contract.as_number({source})" for name, source in _RATIOS_AND_ATTRIBUTES.items()},
        **{name: f"contract.as_fixed_code({name})" for name in _CODES},
        "vendor": "contract.as_label(vendor)",
    }
)


def _reason_column(column: str) -> str:
    return f"{column}_missing_reason"


STAGING_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "agency_id": "BIGINT",
        "primary_agency_id": "BIGINT",
        "prod_abbr": "VARCHAR",
        "prod_line": "VARCHAR",
        "state_abbr": "VARCHAR",
        "year": "INTEGER",
        "months": "INTEGER",
        **dict.fromkeys(_POLICY_COUNTS, "BIGINT"),
        **dict.fromkeys(_AMOUNTS, f"DECIMAL(18,{_AMOUNT_DECIMALS})"),
        **dict.fromkeys(_REPORTED_RATIOS, "DOUBLE"),
        **{_reason_column(column): "VARCHAR" for column in ("primary_agency_id", *MEASURES)},
        **dict.fromkeys(_AGENCY_NUMBERS_BEFORE_VENDOR, "INTEGER"),
        "has_vendor": "BOOLEAN",
        "vendor": "VARCHAR",
        **dict.fromkeys(_AGENCY_NUMBERS_AFTER_VENDOR, "INTEGER"),
        "_batch_id": "VARCHAR",
        "_source_file": "VARCHAR",
        "_source_row": "BIGINT",
    }
)
"""The columns of `staging.stg_agency_performance`, in order, with their DuckDB types."""

_RENAMED = MappingProxyType({**_NUMBERS, "has_vendor": "vendor_ind"})

SOURCES: Mapping[str, str] = MappingProxyType(
    {name: _RENAMED.get(measure := name.removesuffix("_missing_reason"), measure) for name in STAGING_COLUMNS}
)
"""The column of `raw.agency_performance` behind each column of `staging.stg_agency_performance`."""


def normalise(raw: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `raw.agency_performance`, typed, one row for each input row in the same order.

    raw: the contract's columns as text with nulls, and `_batch_id`, `_source_file`, `_source_row`; every row has
    passed the contract. Further columns are ignored.
    Columns: `STAGING_COLUMNS`; amounts in USD rounded to four decimals (casting them to DECIMAL(18,4)
    is exact), sentinels as null with a reason, numbers of the agency as whole floats.
    Raises ValueError where a text is not a number, KeyError where a column is missing.
    """
    text = without_missing(raw[list(AGENCY_PERFORMANCE.columns)].astype("str"), AGENCY_PERFORMANCE.numbers)
    read = read_values(text, _EXPRESSIONS)
    for name, source in _NUMBERS.items():
        if (unreadable := text[source][text[source].notna() & read[name].isna()]).size:
            raise ValueError(f"{source}: {unreadable.iloc[0]!r} is not a number")
    numbers = {name: read[name] for name in ("primary_agency_id", *MEASURES)}
    known = {name: _without_sentinels(name, values) for name, values in numbers.items()}
    reasons = {_reason_column(name): _missing_reasons(name, numbers) for name in numbers}
    has_vendor = read["vendor_ind"].map({"Y": True, "N": False}).astype("boolean")
    vendor = read["vendor"]
    columns = {
        **{name: read[name] for name in ("agency_id", *_KEYS)},
        **known,
        **reasons,
        **{name: read[name].mask(read[name] == SENTINEL) for name in _AGENCY_NUMBERS_BEFORE_VENDOR},
        "has_vendor": has_vendor,
        "vendor": vendor.mask(vendor == _NO_VENDOR).astype("str"),
        **{name: read[name].mask(read[name] == SENTINEL) for name in _AGENCY_NUMBERS_AFTER_VENDOR},
        "_batch_id": raw["_batch_id"].astype("str"),
        "_source_file": raw["_source_file"].astype("str"),
        "_source_row": raw["_source_row"].astype("Int64"),
    }
    return pd.DataFrame(columns, index=raw.index)[list(STAGING_COLUMNS)]


def _without_sentinels(name: str, values: pd.Series) -> pd.Series:
    return values.mask(values.isin(list(_SENTINELS.get(name, ()))))


def _missing_reasons(name: str, numbers: Mapping[str, pd.Series]) -> pd.Series:
    """Return why each value of `numbers[name]` is missing, null where it is present. `numbers` includes sentinels."""
    values = numbers[name]
    reasons = pd.Series(None, index=values.index, dtype="str")
    reasons = reasons.mask(values.isna(), "empty_in_source")
    for sentinel, reason in _SENTINELS.get(name, {}).items():
        reasons = reasons.mask((values == sentinel).fillna(False), reason)
    if name == "reported_retention_ratio":
        previous = numbers["prev_policies_in_force"]
        is_sentinel = (values == SENTINEL).fillna(False)
        reasons = reasons.mask(is_sentinel & (previous == 0).fillna(False), "no_policies_in_previous_year")
        reasons = reasons.mask(is_sentinel & (previous == SENTINEL).fillna(True), "previous_year_unknown")
    return reasons


def _requirement(holds: Callable[[pd.Series], pd.Series], wording: str) -> pa.Check:
    return pa.Check(holds, name=wording, error=wording)


def _schema_column(name: str, duckdb_type: str) -> pa.Column:
    checks = []
    if sentinels := list(_SENTINELS.get(name, ())):
        checks.append(_requirement(lambda values: ~values.isin(sentinels), "no sentinel of the source"))
    if duckdb_type.startswith("DECIMAL"):
        checks.append(_requirement(lambda values: values.abs() <= LARGEST_AMOUNT_USD, "an amount below 1e11 USD"))
    if name.endswith("_missing_reason"):
        checks.append(pa.Check.isin(list(REASONS)))
    if duckdb_type == "INTEGER" and name not in {"year", "months"}:
        checks.append(
            _requirement(
                lambda values: values.between(0, LARGEST_COUNT) & (values % 1 == 0), f"whole, 0 to {LARGEST_COUNT}"
            )
        )
    checks += _CHECKS.get(name, ())
    return pa.Column(_PANDAS_TYPES[_frame_type(name, duckdb_type)], checks=checks, nullable=name not in _NEVER_NULL)


def _frame_type(name: str, duckdb_type: str) -> str:
    if duckdb_type.startswith("DECIMAL"):
        return "DOUBLE"
    # A fraction or a huge number in an attribute must reach the schema, which rejects it with its name.
    if name in _AGENCY_NUMBERS_BEFORE_VENDOR or name in _AGENCY_NUMBERS_AFTER_VENDOR:
        return "DOUBLE"
    return duckdb_type


def _missing_exactly_with_reason(name: str) -> pa.Check:
    return pa.Check(
        lambda frame: frame[name].isna() == frame[_reason_column(name)].notna(),
        name=f"{name} is missing exactly where {_reason_column(name)} is set",
        error=f"{name} is missing exactly where {_reason_column(name)} is set",
        ignore_na=False,
    )


_PANDAS_TYPES = {"BIGINT": "Int64", "INTEGER": "Int64", "DOUBLE": "Float64", "VARCHAR": "str", "BOOLEAN": "boolean"}
_NEVER_NULL = {"agency_id", *_KEYS, "_batch_id", "_source_file", "_source_row"}
_CHECKS: Mapping[str, tuple[pa.Check, ...]] = {
    "agency_id": (pa.Check.ge(0),),
    "prod_line": (pa.Check.isin(["CL", "PL"]),),
    "year": (pa.Check.in_range(1900, 2199),),
    "months": (pa.Check.in_range(1, 12),),
    "_batch_id": (pa.Check.str_matches(r"^[0-9a-f]{16}$"),),
    "_source_row": (pa.Check.ge(1),),
}

SCHEMA = pa.DataFrameSchema(
    {name: _schema_column(name, duckdb_type) for name, duckdb_type in STAGING_COLUMNS.items()},
    checks=[_missing_exactly_with_reason(name) for name in ("primary_agency_id", *MEASURES)],
    strict=True,
    ordered=True,
    unique=["_batch_id", "_source_file", "_source_row"],
    name="stg_agency_performance",
    description="Agency performance, typed: one row per row of the files.",
)
"""The blocking check of `staging.stg_agency_performance`, on the frame that `normalise` returns."""
