"""Identity keys: which spellings give equal keys, and which values give none."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.promotions.accounts import SignUp, accounts_as_given
from quintet.promotions.identity import (
    address_keys,
    canonical_email,
    hashed,
    identity_key_table,
    number_of,
    phone_digits,
)
from tests.unit.promotions.worlds import accounts


@pytest.mark.parametrize(
    "spelling", ["John.Doe@Example.com", "johndoe+promo7@example.com", "j.o.h.n.doe+a+b@EXAMPLE.COM"]
)
def test_spellings_of_one_address_have_one_key(spelling: str):
    assert canonical_email(spelling) == "johndoe@example.com"


@pytest.mark.parametrize("address", ["", "no at sign", "+tag@x.y", "two@at@signs", "@x.y"])
def test_an_invalid_address_has_no_key(address: str):
    assert canonical_email(address) is None


@pytest.mark.parametrize(
    "spelling", ["15051234567", "+1 505-123-4567", "001 (505) 123.4567", "505-123-4567x89", "5051234567"]
)
def test_spellings_of_one_number_have_one_key(spelling: str):
    assert phone_digits(spelling) == "5051234567"


@pytest.mark.parametrize("number", ["", "12345", "1" * 40, "no number", "📱"])
def test_an_invalid_number_has_no_key(number: str):
    assert phone_digits(number) is None


@pytest.mark.parametrize(
    ("address", "keys"),
    [
        ("8.8.4.4", ("8.8.4.4", "8.8.4")),
        ("2001:4860::8844", ("2001:4860:0000:0000", "2001:4860:0000")),
        ("2001:4860:0:0:1::9", ("2001:4860:0000:0000", "2001:4860:0000")),
        ("::ffff:8.8.4.4", ("8.8.4.4", "8.8.4")),
    ],
)
def test_a_public_address_gives_its_line_and_its_net(address: str, keys: tuple[str, str]):
    assert address_keys(address) == keys


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "192.168.0.1", "172.16.9.9", "172.31.0.1", "127.0.0.1", "100.64.0.1", "169.254.1.1", "fe80::1",
     "fd00::1", "::1", "::ffff:10.0.0.1", "300.1.1.1", "8.8.8", "not:an:address", ""],
)  # fmt: skip
def test_private_and_malformed_addresses_have_no_key(address: str):
    assert address_keys(address) == (None, None)


@pytest.mark.parametrize("address", ["172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "11.0.0.1"])
def test_addresses_beside_the_private_ones_are_public(address: str):
    assert address_keys(address)[0] == address


def test_the_table_has_a_row_per_key():
    table = identity_key_table(
        accounts({"user_id": "u", "email": "a@b.c", "device_id": "D1", "phone": None, "ip_address": "10.0.0.1"})
    )

    assert table.to_pylist() == [
        {"user_id": "u", "kind": "device", "key": "d1"},
        {"user_id": "u", "kind": "email", "key": "a@b.c"},
    ]


@pytest.mark.parametrize(("second", "is_shared"), [("2024-01-02 11:00", True), ("2024-01-05 12:00", False)])
def test_sign_ups_within_a_day_that_use_one_code_share_a_key(second: str, is_shared: bool):
    both = accounts(
        {"user_id": "a", "created_at": "2024-01-01 12:00"},
        {"user_id": "b", "created_at": second},
        usages=[("a", "C", "2024-02-01"), ("b", "C", "2024-03-01")],
    )
    keys = identity_key_table(both).to_pandas().groupby("user_id")["key"].agg(set)

    assert bool(keys["a"] & keys["b"]) == is_shared


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_accepted(email: str, phone: str, address: str):
    odd = accounts_as_given([(SignUp("u", None, email, phone, address, email, address, phone), [])])

    assert identity_key_table(odd).num_rows <= 6


def test_equal_texts_have_equal_numbers_in_any_column_and_kinds_differ():
    texts, kinds = pa.array(["a", "b", "a"]), pa.array([0, 0, 1])

    assert hashed(texts).tolist() == [number_of((text,)) for text in ("a", "b", "a")]
    assert len(set(hashed(texts, kinds).tolist())) == 3
