"""Sign-ups as columns: one row and many give equal accounts, and bad input becomes unknown."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from quintet.promotions.accounts import SignUp, Usage, accounts_as_given, rows_of
from tests.unit.promotions.worlds import accounts

AT = dt.datetime(2024, 1, 1, 12)


def test_unknown_fields_are_ignored():
    assert SignUp.of({"user_id": "u", "favourite_colour": "blue"}) == SignUp("u")


@pytest.mark.parametrize("given", [{}, {"user_id": None}, {"user_id": "  "}])
def test_a_sign_up_without_a_user_is_refused(given: dict):
    with pytest.raises(ValueError, match="needs a user_id"):
        SignUp.of(given)


@pytest.mark.parametrize(("dob", "created_at"), [("31/31/1999", "yesterday"), (pd.NaT, pd.NaT), (7, None)])
def test_an_invalid_date_is_unknown(dob: object, created_at: object):
    sign_up = SignUp.of({"user_id": "u", "dob": dob, "created_at": created_at})

    assert (sign_up.dob, sign_up.created_at) == (None, None)
    assert np.isnan(accounts_as_given([(sign_up, [])]).created_at_s).all()


def test_a_number_becomes_text_and_half_a_surrogate_pair_is_harmless():
    sign_up = SignUp.of({"user_id": 7, "phone": 15551234567, "first_name": "\ud83d"})

    assert (sign_up.user_id, sign_up.phone) == ("7", "15551234567")
    assert accounts_as_given([(sign_up, [])]).fields["first_name"] == ["?"]


def test_one_account_equals_a_table_of_one_row():
    row = {
        "user_id": "u", "created_at": "2024-01-01 12:00", "email": " a@b.c ", "phone": "", "first_name": "Ann",
        "last_name": None, "ip_address": "8.8.8.8", "device_id": "d", "dob": "1990-05-05",
    }  # fmt: skip
    many = accounts(row, usages=[("u", "B", "2024-01-03"), ("u", "A", "2024-01-02"), ("u", "A", "2024-01-05")])
    one = accounts_as_given([(
        SignUp.of(row | {"created_at": AT}),
        [Usage("u", "A", AT + dt.timedelta(days=4, hours=-12)), Usage("u", "B", dt.datetime(2024, 1, 3)),
         Usage("u", "A", dt.datetime(2024, 1, 2))],
    )])  # fmt: skip

    assert list(rows_of(*one.fields.values())) == list(rows_of(*many.fields.values()))
    assert list(rows_of(one.code)) == list(rows_of(many.code)) == [("A",), ("B",)]
    for column in ("created_at_s", "age_years", "use_lag_days", "uses", "code_start"):
        assert np.array_equal(getattr(one, column), getattr(many, column))


def test_of_rows_with_one_user_the_earliest_is_used():
    twice = accounts(
        {"user_id": "u", "created_at": "2024-01-02", "email": "late@x.y"},
        {"user_id": "u", "created_at": "2024-01-01", "email": "early@x.y"},
    )

    assert list(rows_of(twice.fields["email"])) == [("early@x.y",)]


def test_a_use_of_an_unknown_user_or_without_a_code_is_ignored():
    known = accounts({"user_id": "u"}, usages=[("stranger", "A", "2024-01-01"), ("u", None, "2024-01-01")])

    assert len(known.code) == 0
    assert known.uses.tolist() == [0]


def test_a_use_before_the_sign_up_gives_no_lag():
    early = accounts({"user_id": "u", "created_at": "2024-01-02"}, usages=[("u", "A", "2024-01-01")])

    assert np.isnan(early.use_lag_days).all()
    assert early.uses.tolist() == [1]


def test_a_sign_up_in_another_time_zone_is_the_same_moment():
    there = AT.replace(tzinfo=dt.UTC).astimezone(dt.timezone(dt.timedelta(hours=5)))

    one, other = accounts_as_given([(SignUp("u", there), []), (SignUp("u", AT), [])]).created_at_s
    assert one == other


def test_accounts_as_given_equal_each_account_by_itself() -> None:
    given = [
        (SignUp("b", AT, "B@x.org", dob=AT.date()), [Usage("b", "Z", AT), Usage("b", "A", None), Usage("b", "Z", AT)]),
        (SignUp("a", None), []),
        (SignUp("c", AT, phone="1"), [Usage("c", "A", AT)]),
    ]
    together = accounts_as_given(given)
    assert together.user_id.to_pylist() == ["b", "a", "c"]
    for place, (sign_up, usages) in enumerate(given):
        alone = accounts_as_given([(sign_up, usages)])
        codes = slice(*together.code_start[place : place + 2].tolist())
        assert {name: column[place] for name, column in together.fields.items()} == {
            name: column[0] for name, column in alone.fields.items()
        }
        assert together.code[codes] == alone.code
        for name in ("created_at_s", "age_years", "use_lag_days", "uses"):
            np.testing.assert_array_equal(getattr(together, name)[place], getattr(alone, name)[0])
