"""Profile plausibility: a value is strange if it is rare in the population, whatever the population does."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from quintet.promotions.accounts import SignUp, accounts_as_given
from quintet.promotions.profile import (
    Commonness,
    Population,
    Range,
    email_domain,
    name_case,
    phone_shape,
    profile_evidence,
)
from tests.unit.promotions.worlds import accounts


def text(*values: str | None) -> pa.Array:
    return pa.array(values, pa.string())


def strangeness(common: Commonness, *values: str | None) -> list[float]:
    return [common.strangeness(value) for value in values]


def test_rare_values_are_strange_and_unknown_ones_are_not():
    common = Commonness.of(text(*["usual"] * 995, *["odd"] * 5))

    assert strangeness(common, "usual", "odd", "never seen", None) == [0.0, 1.0, 1.0, 0.0]


def test_strangeness_depends_on_the_population():
    assert strangeness(Commonness.of(text(*["odd"] * 1_000)), "odd", "usual") == [0.0, 1.0]


def test_no_value_is_strange_where_all_differ():
    everybody = Commonness.of(text(*(str(number) for number in range(20_000))))

    assert strangeness(everybody, "3", "another") == [0.0, 0.0]


def test_an_empty_population_has_no_strange_values():
    assert strangeness(Commonness.of(text()), "anything") == [0.0]


def test_a_small_population_is_less_certain():
    assert strangeness(Commonness.of(text(*["usual"] * 20)), "new")[0] < 0.5


def test_values_far_outside_the_range_are_strange_on_their_side():
    ages = Range.of(np.linspace(18, 80, 1_000))

    assert ages.above(np.array([50.0, 80.0, 100.0, np.nan])).tolist() == [0.0, 0.0, 1.0, 0.0]
    assert ages.below(np.array([50.0, 18.0, -3.0, np.nan])).tolist() == [0.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize("values", [[], [np.nan], [40.0, 40.0]])
def test_without_a_range_nothing_is_strange(values: list[float]):
    assert Range.of(np.array(values)).above(np.array([100.0])).tolist() == [0.0]


def test_the_shape_of_a_phone_keeps_its_format():
    assert [phone_shape("+1-505-1234x89"), phone_shape("1" * 40)] == ["+9-999-9999a99", "9" * 32]


def test_the_domain_follows_the_last_at_sign():
    assert [email_domain("A@B.Com"), email_domain("none")] == ["b.com", "none"]


@pytest.mark.parametrize(
    ("first", "last", "case"),
    [("Ann", "McDonald", "mixed mixed"), ("ann", "lee", "lower lower"), ("ANN", "Lee", "upper mixed"),
     ("李", "小龙", "uncased uncased"), ("🦊", "Fox", "no letters mixed")],
)  # fmt: skip
def test_the_case_of_names(first: str, last: str, case: str):
    assert name_case(first, last) == case


@pytest.mark.parametrize(("email", "phone", "evidence"), [(False, False, 1.0), (True, False, 0.5), (None, None, 0.0)])
def test_an_account_that_verified_nothing_is_rare_where_people_verify(
    email: bool | None, phone: bool | None, evidence: float
):
    flags = {"is_email_verified": email, "is_phone_verified": phone}
    careful = [
        {"user_id": str(number), "is_email_verified": number % 10 > 0, "is_phone_verified": number % 10 > 0}
        for number in range(400)
    ]
    careless = [one | {"is_email_verified": False, "is_phone_verified": False} for one in careful]

    def of(people: list[dict[str, object]]) -> float:
        account = accounts_as_given([(SignUp.of({"user_id": "new"} | flags), [])])
        return float(profile_evidence(account, Population.of(accounts(*people)))["unverified"][0])

    assert of(careful) == pytest.approx(evidence)
    assert of(careless) == 0


def test_each_column_is_strange_by_its_own_field():
    usual = [
        {"user_id": str(number), "created_at": "2024-01-01", "dob": f"{1950 + number % 50}-01-01", "email": "a@us.com",
         "phone": "15051234567", "first_name": "Ann", "last_name": "Lee"}
        for number in range(400)
    ]  # fmt: skip
    population = Population.of(accounts(*usual))
    odd = {"phone_strange": {"phone": "+1 (505)"}, "email_domain_strange": {"email": "a@odd.com"},
           "name_case_strange": {"first_name": "ann"}, "age_strange": {"dob": "2030-01-01"}}  # fmt: skip

    for column, change in odd.items():
        evidence = profile_evidence(accounts_as_given([(SignUp.of(usual[0] | change), [])]), population)
        assert [name for name, values in evidence.items() if values[0] > 0.9] == [column]
    for known in (usual[0], {"user_id": "blank"}, {"user_id": "half", "first_name": "ann"}):
        evidence = profile_evidence(accounts_as_given([(SignUp.of(known), [])]), population)
        assert not any(values.any() for values in evidence.values())
