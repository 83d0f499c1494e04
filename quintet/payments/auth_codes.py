"""Authorisation codes: whether a transaction was approved, denied or failed."""

from __future__ import annotations

import re

_APPROVED = {"00", "08", "10", "11", "16", "85"}
"""Approved: in full, with identification, in part, as VIP, with the track updated, or as a check without a payment."""

_FAILED = {"06", "09", "19", "30", "40", "68", "90", "91", "92", "94", "96", "97", "98", "99"}
"""Technical faults: error, in progress, re-enter, format, unknown function, too late, cut-off, issuer or switch
unavailable, no route, duplicate, malfunction, and similar.
"""

CODE = re.compile(r"[0-9A-Z]{2}")


def status_of(code: str) -> str:
    """Return the status of a code of two digits or capitals; any code that is not approved or a fault is a denial.

    Raises ValueError for anything else.
    """
    if not CODE.fullmatch(code):
        raise ValueError(f"an authorisation code is two digits or capitals, like 00 or N7, not {code!r}")
    return "approved" if code in _APPROVED else "failed" if code in _FAILED else "denied"
