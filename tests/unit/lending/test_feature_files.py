import datetime as dt
import io
from collections.abc import Callable

import obstore
import pandas as pd
import pyarrow.parquet as pq
import pytest
from obstore.store import MemoryStore

from quintet.lending.feature_files import (
    CURRENT,
    NoFeaturesError,
    day_key,
    full_name,
    read_applications,
    read_catalogue,
    read_features,
    write_applications,
    write_features,
)
from quintet.lending.feature_registry import features

MONDAY, TUESDAY = dt.date(2020, 8, 3), dt.date(2020, 8, 4)


def of(*clients: int) -> Callable[[dt.date], pd.DataFrame]:
    """Return a function that returns features of these clients at the end of any day."""

    def at_end_of(day: dt.date) -> pd.DataFrame:
        columns = {feature.name: [None if each == 2 else float(each + day.day) for each in clients]
                   for feature in features()}  # fmt: skip
        return pd.DataFrame({"client_id": list(clients), "as_of": day.isoformat(), **columns})

    return at_end_of


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_features_have_the_full_names_of_the_brief():
    names = [full_name(name) for name in
             ("paid_loans_count", "days_since_last_late_payment", "profit_in_last_90_days_rate")]  # fmt: skip
    assert names == [
        "client.paid_loans.count",
        "client.days_since_last_late_payment.count",
        "client.profit_in_last_90_days.rate",
    ]
    assert full_name("outstanding_principal") == "client.outstanding_principal.amount"
    every = [full_name(feature.name) for feature in features()]
    assert len(set(every)) == len(every)


def test_the_columns_carry_their_names_and_units_in_their_metadata(store):
    write_features(store, features(), of(1, 2), MONDAY)
    schema = pq.read_schema(io.BytesIO(bytes(obstore.get(store, CURRENT).bytes())))
    metadata = schema.field("paid_loans_count").metadata
    assert metadata[b"name"] == b"client.paid_loans.count"
    assert metadata[b"unit"] == b"loans"
    assert schema.field("client_id").metadata is None


def test_each_day_keeps_its_file_and_current_is_the_latest(store):
    write_features(store, features(), of(1), MONDAY)
    write_features(store, features(), of(1), TUESDAY)
    assert read_catalogue(store)["days"] == ["2020-08-03", "2020-08-04"]
    assert read_features(store, MONDAY)["paid_loans_count"].tolist() == [4.0]
    assert read_features(store)["paid_loans_count"].tolist() == [5.0]
    assert read_features(store)["as_of"].tolist() == [TUESDAY]


def test_an_unknown_value_is_null(store):
    write_features(store, features(), of(1, 2), MONDAY)
    assert read_features(store)["paid_loans_count"].isna().tolist() == [False, True]


def test_an_earlier_day_is_written_again_without_a_client_who_is_gone_and_only_then(store):
    write_features(store, features(), of(1, 3), MONDAY)
    assert day_key(MONDAY) not in write_features(store, features(), of(1, 3), TUESDAY)
    assert day_key(MONDAY) in write_features(store, features(), of(1), TUESDAY)
    assert read_features(store, MONDAY)["client_id"].tolist() == [1]


def test_the_same_run_twice_gives_the_same_bytes(store):
    write_features(store, features(), of(1, 2), MONDAY)
    first = bytes(obstore.get(store, CURRENT).bytes())
    write_features(store, features(), of(1, 2), MONDAY)
    assert bytes(obstore.get(store, CURRENT).bytes()) == first


def test_without_files_a_reader_is_told_what_to_do(store):
    with pytest.raises(NoFeaturesError, match="make run SELECT=lending"):
        read_features(store)
    write_features(store, features(), of(1), MONDAY)
    with pytest.raises(NoFeaturesError, match="there are files as of 2020-08-03"):
        read_features(store, TUESDAY)
    with pytest.raises(NoFeaturesError, match="no file of applications"):
        read_applications(store)


def test_no_client_at_all_gives_files_without_rows(store):
    write_features(store, features(), of(), MONDAY)
    assert read_features(store).empty


def test_applications_carry_the_features_names(store):
    rows = of(1, 2)(MONDAY).assign(application_id=[7, 8], outcome=["repaid", None])
    write_features(store, features(), of(1, 2), MONDAY)
    write_applications(store, rows, features())
    assert read_applications(store)["outcome"].tolist()[0] == "repaid"
