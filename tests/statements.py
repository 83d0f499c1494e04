"""Statements of a document, compared with the figures that a run gives."""

from __future__ import annotations

from collections.abc import Iterable


def missing(statements: Iterable[str], page: str) -> list[str]:
    """Return the statements that a page lacks, however its lines are broken."""
    words = " ".join(page.split())
    return [statement for statement in statements if statement not in words]
