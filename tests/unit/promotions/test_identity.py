"""Identity keys: which spellings give equal keys, and which values give none."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.promotions.accounts import SignUp, accounts_as_given
from quintet.promotions.identity import (
    KIND_NAMES,
    KINDS,
    KeyRules,
    address_keys,
    agent_number,
    canonical_email,
    device_key,
    hashed,
    identity_key_table,
    keys_of_account,
    mailbox_stem,
    number_of,
    phone_key,
    usual_country,
)
from tests.unit.promotions.worlds import accounts

HOME = KeyRules("1", 11)
"""A population whose phone numbers are mostly of North America."""


@pytest.mark.parametrize("spelling", ["John.Doe@Gmail.com", "johndoe+promo7@gmail.com", "j.o.h.n.doe+a@GOOGLEMAIL.COM"])
def test_spellings_of_one_mailbox_have_one_key(spelling: str):
    assert canonical_email(spelling) == "johndoe@gmail.com"


def test_dots_make_another_mailbox_where_the_provider_says_so():
    assert canonical_email("john.doe+shop@example.com") == "john.doe@example.com"
    assert canonical_email("johndoe@example.com") == "johndoe@example.com"


@pytest.mark.parametrize("address", ["", "no at sign", "+tag@x.y", "two@at@signs", "@x.y", "none@x.y", "...@gmail.com"])
def test_an_invalid_address_has_no_key(address: str):
    assert canonical_email(address) is None


@pytest.mark.parametrize(
    "spelling", ["15051234567", "+1 505-123-4567", "001 (505) 123.4567", "505-123-4567x89", "5051234567"]
)
def test_spellings_of_one_number_have_one_key(spelling: str):
    assert phone_key(spelling, HOME) == "15051234567"


def test_the_same_digits_of_two_countries_are_two_numbers():
    assert phone_key("+91 505 123 4567", HOME) != phone_key("+1 505 123 4567", HOME)


@pytest.mark.parametrize("spelling", ["+49 (0)151 23456789", "0151 23456789", "0049 151 23456789"])
def test_a_national_number_is_one_of_the_usual_country(spelling: str):
    assert phone_key(spelling, KeyRules("49", 13)) == "4915123456789"


@pytest.mark.parametrize(
    "number", ["", "12345", "1" * 40, "no number", "📱", "0000000000", "+1 111-111-1111", "1234567890"]
)
def test_an_invalid_number_and_a_placeholder_have_no_key(number: str):
    assert phone_key(number, HOME) is None


@pytest.mark.parametrize("device", ["unknown", "NULL", "00000000-0000-0000-0000-000000000000", "n/a"])
def test_a_text_that_stands_for_no_device_has_no_key(device: str):
    assert device_key(device) is None
    assert device_key(f"{device}7f") is not None


@pytest.mark.parametrize(
    ("phones", "usual"),
    [
        (["15051234567", "15059876543", "+49 151 23456789"], ("1", 11)),
        (["+49 151 23456789", "0151 98765432", "+49 151 11122233", "+1 505 123 4567"], ("49", 13)),
        (["0151 98765432", None, "7"], ("", 0)),
    ],
)
def test_the_usual_country_is_learned_from_numbers_with_a_code(phones: list[str | None], usual: tuple[str, int]):
    assert usual_country(phones) == usual


@pytest.mark.parametrize(
    ("mailbox", "names", "stem"),
    [
        ("ringleader12@example.com", ("Ana", "Ruiz"), "ringleader@example.com"),
        ("ring.leader@example.com", (None, None), "ringleader@example.com"),
        ("ringleader@example.com", ("Ana", "Ruiz"), None),  # nothing is numbered
        ("anaruiz12@example.com", ("Ana", "Ruiz"), None),  # many people have the same name
        ("aruiz12@example.com", ("Ana", "Ruíz"), None),
        ("abc12@example.com", ("Ana", "Ruiz"), None),
        ("12345@example.com", ("Ana", "Ruiz"), None),
    ],
)
def test_mailboxes_that_are_numbered_have_one_stem(mailbox: str, names: tuple[str | None, ...], stem: str | None):
    assert mailbox_stem(mailbox, names) == stem


def test_batch_and_single_accounts_have_the_same_stems():
    one = {"user_id": "u", "email": "Ring.Leader+x@b.com", "first_name": "Ana", "last_name": "Ruiz"}
    fields = (None, "Ring.Leader+x@b.com", None, None, "Ana", "Ruiz")

    by_account = [(KINDS[kind].name, key) for kind, key in keys_of_account(fields, (), float("nan"), 0, KeyRules())]
    assert by_account == [
        ("email", "ring.leader@b.com"),
        ("mailbox_stem", "ringleader@b.com"),
        ("mail_domain", "b.com"),
    ]
    in_batch = identity_key_table(accounts(one), KeyRules()).to_pylist()
    assert [(row["kind"], row["key"]) for row in in_batch] == by_account


def test_batch_and_single_accounts_have_the_same_keys_of_codes():
    one = {"user_id": "u", "created_at": "2024-01-01", "user_agent": "script/1.0"}
    batch = identity_key_table(accounts(one, usages=[("u", "A", "2024-01-02"), ("u", "B", "2024-01-02")]), KeyRules())
    at_s, agent = datetime(2024, 1, 1, tzinfo=UTC).timestamp(), agent_number("script/1.0")

    def of_account(agent: int) -> set[tuple[str, str]]:
        keys = keys_of_account((None,) * 6, ("A", "B"), at_s, agent, KeyRules())
        return {(KIND_NAMES[kind], key) for kind, key in keys}

    assert {(row["kind"], row["key"]) for row in batch.to_pylist()} == of_account(agent)
    assert {kind for kind, _ in of_account(agent)} == {"code_burst", "code_agent"}
    assert {kind for kind, _ in of_account(agent_number(None))} == {"code_burst"}
    assert of_account(agent) != of_account(agent_number("script/1.1"))


def test_a_common_value_is_dropped_from_batch_and_single_accounts():
    rules = KeyRules(common=frozenset({"device web"}))
    one = {"user_id": "u", "device_id": "Web", "email": "a@b.c"}

    assert [row["kind"] for row in identity_key_table(accounts(one), rules).to_pylist()] == ["email", "mail_domain"]
    kinds = [KIND_NAMES[kind] for kind, _ in keys_of_account(("Web", "a@b.c", None, None), (), np.nan, 0, rules)]
    assert kinds == ["email", "mail_domain"]


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
        accounts({"user_id": "u", "email": "a@b.c", "device_id": "D1", "phone": None, "ip_address": "10.0.0.1"}),
        KeyRules(),
    )

    assert table.to_pylist() == [
        {"user_id": "u", "kind": "device", "key": "d1"},
        {"user_id": "u", "kind": "email", "key": "a@b.c"},
        {"user_id": "u", "kind": "mail_domain", "key": "b.c"},
    ]


@pytest.mark.parametrize(("second", "is_shared"), [("2024-01-02 11:00", True), ("2024-01-05 12:00", False)])
def test_sign_ups_within_a_day_that_use_one_code_share_a_key(second: str, is_shared: bool):
    both = accounts(
        {"user_id": "a", "created_at": "2024-01-01 12:00"},
        {"user_id": "b", "created_at": second},
        usages=[("a", "C", "2024-02-01"), ("b", "C", "2024-03-01")],
    )
    keys = identity_key_table(both, KeyRules()).to_pandas().groupby("user_id")["key"].agg(set)

    assert bool(keys["a"] & keys["b"]) == is_shared


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_accepted(email: str, phone: str, address: str):
    odd = accounts_as_given([(SignUp("u", None, email, phone, address, email, address, phone), [])])

    assert identity_key_table(odd, HOME).num_rows <= len(KINDS)


def test_equal_texts_have_equal_numbers_in_any_column_and_kinds_differ():
    texts, kinds = pa.array(["a", "b", "a"]), pa.array([0, 0, 1])

    assert hashed(texts).tolist() == [number_of((text,)) for text in ("a", "b", "a")]
    assert len(set(hashed(texts, kinds).tolist())) == 3


@pytest.mark.parametrize(
    "typed",
    [
        ("Ab-12\u200b", "Jane@Exam\u200bple.com", "+1 505-123-4567\u200e", "8.8.8.8\ufeff"),
        ("Ａb-１２", "Ｊane＠example.com", "＋１ ５０５-123-4567", "８.8.8.8"),
        ("\u3000Ab-12\u00a0", "jane@example.com\u00a0", "\u200b+15051234567", "\u20098.8.8.8"),
    ],
)
def test_characters_that_nobody_sees_make_no_other_key(typed: tuple[str, ...]):
    plain = ("Ab-12", "jane@example.com", "+1 505 123 4567", "8.8.8.8")
    keys = set(keys_of_account(typed, (), np.nan, 0, HOME))
    assert keys == set(keys_of_account(plain, (), np.nan, 0, HOME))
    assert len(keys) == 8
    assert keys != set(keys_of_account(("Ab-13", *typed[1:]), (), np.nan, 0, HOME))
    assert usual_country([typed[2]] * 3) == ("1", 11)


def test_a_user_id_is_one_however_it_is_typed():
    assert SignUp.of({"user_id": " ｕser\u200b1 "}).user_id == "user1"
    assert SignUp.of({"user_id": "User1"}).user_id != "user1"
