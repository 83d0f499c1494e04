"""Incomplete tables are recorded by epoch and table."""

from __future__ import annotations

from obstore.store import MemoryStore

from quintet.change_log.change import Position
from quintet.change_log.completeness import (
    Incomplete,
    incomplete_from_text,
    incomplete_to_text,
    read_incomplete,
    write_incomplete,
)

_FOUND = Incomplete("public.loan", Position(7, 2), "2026-01-01T00:00:00.000000Z", "it was renamed")


def test_an_incomplete_table_is_found_in_its_epoch_alone() -> None:
    store = MemoryStore()
    write_incomplete(store, "E", _FOUND)
    assert read_incomplete(store, "E") == {"public.loan": _FOUND}
    assert read_incomplete(store, "F") == {}


def test_the_text_has_the_same_content() -> None:
    assert incomplete_from_text(incomplete_to_text({"public.loan": _FOUND})) == {"public.loan": _FOUND}
    assert incomplete_from_text(None) == {}


def test_the_sentence_names_table_and_reason() -> None:
    assert str(_FOUND) == "table public.loan is not complete: it was renamed"
