"""Normalising the text of agency performance files."""

from decimal import Decimal
from pathlib import Path

import duckdb
import pandas as pd
import pandera.errors
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quintet.ingest.contract import fold_header, parsing_macros
from quintet.insurance.contract import AGENCY_PERFORMANCE
from quintet.insurance.normalise import MEASURES, REASONS, SCHEMA, STAGING_COLUMNS, normalise

_ROW = {
    **dict.fromkeys(AGENCY_PERFORMANCE.columns, "0"),
    "agency_id": "3",
    "primary_agency_id": "7",
    "prod_abbr": "CYCLES  12",
    "prod_line": "PL",
    "state_abbr": "OH",
    "stat_profile_date_year": "2011",
    "months": "12",
    "vendor_ind": "Y",
    "vendor": "A",
    "wrtn_prem_amt": "-120.55",
}


def _raw(*rows: dict[str, str | None]) -> pd.DataFrame:
    frame = pd.DataFrame([{**_ROW, **row} for row in rows])
    return frame.assign(
        _batch_id="0123456789abcdef", _source_file="a.csv", _source_row=list(range(1, len(rows) + 1)), _extra=None
    )


def _normalised(**cells: str | None) -> pd.Series:
    return normalise(_raw(cells)).iloc[0]


def test_each_row_in_is_one_row_out_with_the_staging_columns_in_order():
    normalised = normalise(_raw({}, {"agency_id": "4"}, {}))

    assert list(normalised.columns) == list(STAGING_COLUMNS)
    assert normalised["_source_row"].to_list() == [1, 2, 3]
    assert normalised["agency_id"].to_list() == [3, 4, 3]


def test_no_row_in_is_no_row_out():
    normalised = normalise(_raw({}).head(0))

    assert len(SCHEMA.validate(normalised)) == 0


def test_the_raw_frame_stays_unchanged():
    raw = _raw({"primary_agency_id": "99999"})
    before = raw.copy(deep=True)

    normalise(raw)

    pd.testing.assert_frame_equal(raw, before)


def test_an_unknown_master_is_null_and_the_agency_stays():
    row = _normalised(primary_agency_id="99999")

    assert row["agency_id"] == 3
    assert pd.isna(row["primary_agency_id"])
    assert row["primary_agency_id_missing_reason"] == "master_unknown"


def test_a_known_master_has_no_missing_reason():
    row = _normalised(primary_agency_id="7")

    assert row["primary_agency_id"] == 7
    assert pd.isna(row["primary_agency_id_missing_reason"])


@pytest.mark.parametrize(
    ("sentinel", "reason"),
    [
        ("99999.0", "written_premium_not_positive"),
        ("99998.0", "losses_without_written_premium"),
        ("99997", "negative_losses_without_written_premium"),
    ],
)
def test_each_sentinel_of_the_loss_ratio_has_its_own_reason(sentinel: str, reason: str):
    row = _normalised(loss_ratio=sentinel)

    assert pd.isna(row["reported_loss_ratio"])
    assert row["reported_loss_ratio_missing_reason"] == reason


@pytest.mark.parametrize(
    ("previous_policies", "reason"),
    [("0", "no_policies_in_previous_year"), ("99999", "previous_year_unknown"), ("12", "not_reported")],
)
def test_a_missing_retention_ratio_is_explained_by_the_policies_of_the_year_before(previous_policies: str, reason: str):
    row = _normalised(retention_ratio="99999.0", prev_poly_inforce_qty=previous_policies)

    assert row["reported_retention_ratio_missing_reason"] == reason


def test_figures_of_an_unknown_year_before_are_null():
    row = _normalised(prev_poly_inforce_qty="99999", prev_wrtn_prem_amt="99999.0")

    assert pd.isna(row["prev_policies_in_force"])
    assert pd.isna(row["prev_written_premium"])
    assert row["prev_written_premium_missing_reason"] == "previous_year_unknown"


@pytest.mark.parametrize("column", ["nb_wrtn_prem_amt", "wrtn_prem_amt", "prd_ernd_prem_amt", "prd_incrd_losses_amt"])
def test_99999_is_an_amount_where_the_source_has_no_sentinel(column: str):
    names = {"nb_wrtn_prem_amt": "new_business_premium", "wrtn_prem_amt": "written_premium"}
    names |= {"prd_ernd_prem_amt": "earned_premium", "prd_incrd_losses_amt": "incurred_losses"}

    row = _normalised(**{column: "99999.0"})

    assert row[names[column]] == 99_999
    assert pd.isna(row[f"{names[column]}_missing_reason"])


def test_a_cell_that_is_empty_in_the_source_has_that_reason():
    row = _normalised(growth_rate_3yr=None, retention_ratio=None)

    assert pd.isna(row["reported_growth_rate_3yr"])
    assert row["reported_growth_rate_3yr_missing_reason"] == "empty_in_source"
    assert row["reported_retention_ratio_missing_reason"] == "empty_in_source"


def test_negative_amounts_stay():
    assert _normalised(prd_incrd_losses_amt="-2374731.32")["incurred_losses"] == -2374731.32


def test_inner_spaces_of_a_product_code_stay_and_outer_ones_go():
    assert _normalised(prod_abbr=" CYCLES  12 ")["prod_abbr"] == "CYCLES  12"


def test_no_vendor_is_null_and_not_a_vendor_of_the_name_unknown():
    row = _normalised(vendor_ind="N", vendor="Unknown")

    assert not row["has_vendor"]
    assert pd.isna(row["vendor"])


def test_attributes_of_the_agency_lose_their_sentinel():
    row = _normalised(commisions_start_year="2010.0", commisions_end_year="99999.0", min_age="99999.0")

    assert row["commissions_start_year"] == 2010
    assert pd.isna(row["commissions_end_year"])
    assert pd.isna(row["min_producer_age"])


@pytest.mark.parametrize(("text", "number"), [("5.0", 5), (" 5 ", 5), ("+5", 5)])
def test_whole_numbers_are_read_as_the_contract_reads_them(text: str, number: int):
    assert _normalised(poly_inforce_qty=text)["policies_in_force"] == number


def test_large_agency_numbers_are_not_rounded_even_beside_decimals():
    normalised = normalise(_raw({"agency_id": "9007199254740993"}, {"agency_id": "5.0"}))

    assert normalised["agency_id"].to_list() == [9007199254740993, 5]


def test_text_that_is_not_a_number_is_an_error_and_not_a_null():
    with pytest.raises(ValueError, match="12,5"):
        _normalised(wrtn_prem_amt="12,5")


@settings(max_examples=20, deadline=None)
@given(st.lists(st.decimals(-(10**11), 10**11, places=4), min_size=1, max_size=20))
def test_amounts_reach_the_staging_table_to_the_last_decimal(amounts: list[Decimal]):
    normalised = normalise(_raw(*({"wrtn_prem_amt": str(amount)} for amount in amounts)))

    assert [row[0] for row in _stored(normalised).execute("select written_premium from stored").fetchall()] == amounts


def _stored(normalised: pd.DataFrame) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    columns = ", ".join(f'"{name}" {duckdb_type}' for name, duckdb_type in STAGING_COLUMNS.items())
    connection.execute(f"create table stored ({columns})")
    connection.register("normalised", normalised)
    connection.execute("insert into stored select * from normalised")
    return connection


def test_nulls_of_the_frame_are_nulls_of_the_staging_table():
    normalised = normalise(_raw({"primary_agency_id": "99999", "loss_ratio": "99999", "vendor": "Unknown"}))

    columns = "primary_agency_id, reported_loss_ratio, vendor, written_premium_missing_reason"
    assert _stored(normalised).execute(f"select {columns} from stored").fetchall() == [(None,) * 4]


def test_the_schema_accepts_the_output_of_normalise():
    SCHEMA.validate(normalise(_raw({}, {"loss_ratio": "99998", "vendor_ind": None, "max_age": None})), lazy=True)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("months", 13),
        ("year", 20_110),
        ("prod_line", "XL"),
        ("agency_id", None),
        ("reported_loss_ratio", 99_998.0),
        ("written_premium", 1e12),
        ("active_producers", 2.5),
        ("written_premium_missing_reason", "because"),
        ("_batch_id", "latest"),
        ("_source_row", 0),
    ],
)
def test_the_schema_rejects_a_bad_value(column: str, value: object):
    normalised = normalise(_raw({}, {}))
    normalised.loc[0, column] = value

    with pytest.raises(pandera.errors.SchemaErrors, match=column):
        SCHEMA.validate(normalised, lazy=True)


@pytest.mark.parametrize("measure", ["primary_agency_id", *MEASURES])
def test_the_schema_rejects_a_missing_figure_without_its_reason(measure: str):
    normalised = normalise(_raw({}))
    normalised.loc[0, measure] = pd.NA

    with pytest.raises(pandera.errors.SchemaErrors, match=f"{measure} is missing exactly where"):
        SCHEMA.validate(normalised, lazy=True)


def test_the_schema_rejects_a_reason_beside_a_figure():
    normalised = normalise(_raw({}))
    normalised.loc[0, "written_premium_missing_reason"] = "not_reported"

    with pytest.raises(pandera.errors.SchemaErrors, match="written_premium is missing exactly where"):
        SCHEMA.validate(normalised, lazy=True)


def test_the_schema_rejects_a_repeated_row():
    normalised = normalise(_raw({}))

    with pytest.raises(pandera.errors.SchemaErrors, match="not unique"):
        SCHEMA.validate(pd.concat([normalised, normalised], ignore_index=True), lazy=True)


@pytest.mark.parametrize("change", ["absent", "unknown"])
def test_the_schema_rejects_another_set_of_columns(change: str):
    normalised = normalise(_raw({}))
    changed = normalised.drop(columns="year") if change == "absent" else normalised.assign(surprise=1)

    with pytest.raises(pandera.errors.SchemaErrors, match="COLUMN"):
        SCHEMA.validate(changed, lazy=True)


@pytest.fixture(scope="module")
def real_normalised(real_data: Path) -> pd.DataFrame:
    (path,) = (real_data / "agency_performance").glob("*.csv")
    raw = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
    raw.columns = [AGENCY_PERFORMANCE.aliases[fold_header(column)] for column in raw.columns]
    return normalise(raw.assign(_batch_id="0" * 16, _source_file=path.name, _source_row=range(1, len(raw) + 1)))


@pytest.mark.real_data
def test_the_real_file_keeps_its_sums_and_agencies(real_normalised: pd.DataFrame):
    SCHEMA.validate(real_normalised, lazy=True)
    sums = _stored(real_normalised).execute("""
        select
            count(*), sum(written_premium), sum(incurred_losses), count(distinct agency_id),
            count(distinct agency_id) filter (primary_agency_id is null)
        from stored
    """)

    assert sums.fetchall() == [(10_000, Decimal("168988558.4800"), Decimal("104445790.6500"), 83, 35)]


@pytest.mark.real_data
def test_the_real_loss_ratios_of_2010_to_2012_are_the_published_ones(real_normalised: pd.DataFrame):
    ratios = _stored(real_normalised).execute("""
        select prod_line, round(sum(incurred_losses)::double / sum(written_premium)::double, 6)
        from stored where year between 2010 and 2012 group by prod_line order by prod_line
    """)

    assert ratios.fetchall() == [("CL", 0.944463), ("PL", 0.555008)]


@pytest.mark.real_data
def test_reported_ratios_of_the_real_file_agree_with_their_parts(real_normalised: pd.DataFrame):
    known = real_normalised.dropna(subset=["reported_loss_ratio"])
    recomputed = known["incurred_losses"] / known["written_premium"]

    assert len(known) == 7_358
    assert ((recomputed - known["reported_loss_ratio"]).abs() < 1e-6).all()


@pytest.mark.real_data
def test_every_reason_of_the_real_file_is_documented(real_normalised: pd.DataFrame):
    given_reasons = real_normalised.filter(like="_missing_reason").melt()["value"].dropna().unique()

    assert set(given_reasons) == set(REASONS) - {"empty_in_source"}


# -- contract and schema agree -----------------------------------------------------------------------------------------

_ODD_TEXTS = (
    *("0", "-0", "1", "12", "-1", "+5", ".5", "5.", "5.0", "1e3", "1E5", " 7\t", "150000", "99997", "99998", "99999"),
    *("2147483647", "2147483648", "9223372036854775807", "1e11", "1.5e11", "-1e12", "1e18", "1e300", "5e-324"),
    *("1000.00245", "0.00005", "-0.00005", "1900", "2199", "2200", "CL", "PL", "Y", "N", "Unknown", "A\tB"),
    *("", " ", "\t", "\u00a0", "\u200b", "NaN", "inf", "12,5", None),
)


def _accepted(raw: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that the contract accepts."""
    try:
        AGENCY_PERFORMANCE.schema.validate(raw[list(AGENCY_PERFORMANCE.columns)], lazy=True)
    except pandera.errors.SchemaErrors as errors:
        return raw.drop(index=errors.failure_cases["index"].dropna().unique()).reset_index(drop=True)
    return raw


def test_every_odd_text_that_passes_the_contract_passes_the_schema_and_is_stored():
    raw = _raw(*({column: odd} for column in AGENCY_PERFORMANCE.columns for odd in _ODD_TEXTS))

    accepted = _accepted(raw)

    assert 0 < len(accepted) < len(raw)
    assert "150000" in set(accepted["cl_quo_ct_mds"])
    assert _stored(SCHEMA.validate(normalise(accepted), lazy=True)).execute("from stored").fetchall()


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_every_number_that_passes_the_contract_passes_the_schema_and_is_stored(data: st.DataObject):
    numbers = st.integers(-(2**65), 2**65).map(str) | st.floats().map(str) | st.decimals(places=6).map(str)
    columns = st.sampled_from(AGENCY_PERFORMANCE.columns)
    rows = data.draw(st.lists(st.dictionaries(columns, numbers, min_size=1, max_size=2), min_size=1, max_size=30))

    accepted = _accepted(_raw(*rows))

    assert len(_stored(SCHEMA.validate(normalise(accepted), lazy=True)).execute("from stored").fetchall()) == len(
        accepted
    )


def test_a_contract_that_is_wider_than_the_schema_is_found():
    with pytest.raises(pandera.errors.SchemaErrors, match="whole, 0 to 1000000000"):
        SCHEMA.validate(normalise(_raw({"cl_quo_ct_mds": "2000000000"})), lazy=True)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.decimals(-(10**6), 10**6, places=7).map(str), min_size=1, max_size=20))
def test_amounts_are_rounded_as_the_check_of_the_mart_rounds_them(amounts: list[str]):
    stored = _stored(normalise(_raw(*({"prd_ernd_prem_amt": amount} for amount in amounts))))
    stored.execute(parsing_macros())
    placeholders = ", ".join("(?)" for _ in amounts)

    in_raw = f"select sum(contract.as_money(amount)) from (values {placeholders}) as raw(amount)"

    assert (
        stored.execute("select sum(earned_premium) from stored").fetchall()
        == stored.execute(in_raw, amounts).fetchall()
    )


def test_rounding_half_to_even_would_differ():
    stored = _stored(normalise(_raw({"prd_ernd_prem_amt": "1000.00245"})))

    assert stored.execute("select earned_premium from stored").fetchall() == [(Decimal("1000.0025"),)]
    assert round(1000.00245, 4) == 1000.0024


@pytest.mark.parametrize("blank", [" ", "\t", "\u00a0", "\u3000", "\u200b"])
def test_blanks_around_a_code_are_no_part_of_it(blank: str):
    assert _normalised(prod_abbr=f"{blank}CYCLES  12{blank}")["prod_abbr"] == "CYCLES  12"


@pytest.mark.parametrize("spelling", ["cycles  12", "Cycles\u00a0 12", "\uff23YCLES  12", "CY\u200bCLES  12"])
def test_a_code_is_the_same_in_any_case_and_width(spelling: str):
    found = _normalised(prod_abbr=spelling, state_abbr="oh ", prod_line=" pl", vendor_ind="y")

    assert (found["prod_abbr"], found["state_abbr"], found["prod_line"]) == ("CYCLES  12", "OH", "PL")
    assert found["has_vendor"]


def test_another_number_of_spaces_is_another_code():
    assert _normalised(prod_abbr="CYCLES 12")["prod_abbr"] == "CYCLES 12"


@pytest.mark.parametrize(
    ("text", "amount"),
    [("-639281.44445", -639281.4445), ("0.44445", 0.4445), ("2000.005", 2000.005), ("-1.14e-13", 0), ("1e3", 1000)],
)
def test_an_amount_is_rounded_once_from_its_text(text: str, amount: float):
    assert _normalised(prd_incrd_losses_amt=text)["incurred_losses"] == amount
