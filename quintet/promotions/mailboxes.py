"""Mailboxes: how an address is composed, which a person or a tool does in one way."""

from __future__ import annotations

import re

from quintet.promotions.identity import name_parts

_LONGEST = 64
_FEWEST_OF_NAME = 3
_PIECE = re.compile(r"[^\W\d_]+|[0-9]+")


def mailbox_form(email: str, first_name: str | None, last_name: str | None) -> str | None:
    """Return the part before the @ with F and L for the account's names, a for other letters, and 9 for each digit.

    "jane.doe42@…" of Jane Doe is "F.L99". None if it is not an address.
    """
    local, at, _ = email.rpartition("@")
    if not at or not local:
        return None
    local = local[:_LONGEST].lower()
    for mark, name in (("F", first_name), ("L", last_name)):
        for part in name_parts(name) if name else ():
            if len(part) >= _FEWEST_OF_NAME:
                local = local.replace(part, mark, 1)
    return _PIECE.sub(_form_of_piece, local)


def _form_of_piece(found: re.Match[str]) -> str:
    text = found[0]
    if text[0].isdigit():
        return "9" * len(text)
    return "".join(dict.fromkeys("a" if letter.islower() else letter for letter in text))
