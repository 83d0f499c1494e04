"""Mailboxes: addresses that one person or tool composed have one form."""

from __future__ import annotations

import pytest

from quintet.promotions.mailboxes import mailbox_form


@pytest.mark.parametrize(
    ("email", "form"),
    [
        ("jane.doe42@example.com", "F.L99"),
        ("JaneDoe@example.org", "FL"),
        ("j.doe7@example.com", "a.L9"),
        ("doe_jane+31@example.com", "L_F+99"),
        ("sunflower1999@example.com", "a9999"),
        ("k3x9q@example.com", "a9a9a"),
        ("ünal@example.com", "a"),
    ],
)
def test_the_form_names_the_pieces_of_an_address(email: str, form: str):
    assert mailbox_form(email, "Jane", "Doe") == form


@pytest.mark.parametrize("email", ["jane.doe", "@example.com", ""])
def test_what_is_no_address_has_no_form(email: str):
    assert mailbox_form(email, "Jane", "Doe") is None


def test_names_count_without_accents_and_may_be_unknown():
    assert mailbox_form("ana.ruiz@example.com", "Ana", "Ruíz") == "F.L"
    assert mailbox_form("ana.ruiz@example.com", None, None) == "a.a"
    assert mailbox_form("ana.ruiz@example.com", "", "太郎") == "a.a"
