"""Judgements and labels in the state store."""

from __future__ import annotations

import datetime as dt

import pytest

from quintet.promotions.store import (
    JudgementRecord,
    Label,
    insert_judgement,
    label_of,
    last_label,
    last_labels,
    record_label,
    sign_ups_after,
    was_judged,
)
from quintet.state.store import StateStore

AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def judgement(user_id: str) -> JudgementRecord:
    sign_up = {"user_id": user_id, "email": "ана@example.com"}
    return JudgementRecord(user_id, AT, "app", sign_up, [{"promo_code": "A"}], 0.5, "review", ["R_2"], None, 1, "m")


def test_sign_ups_are_returned_in_order_as_received(store: StateStore):
    with store.write() as connection:
        for user_id in ("b", "a"):
            insert_judgement(connection, judgement(user_id))
    (first, sign_up, usages), (second, *_) = sign_ups_after(store, 0)

    assert (sign_up, usages) == (judgement("b").sign_up, [{"promo_code": "A"}])
    assert [one[0] for one in sign_ups_after(store, first)] == [second]
    assert was_judged(store, "a")
    assert not was_judged(store, "c")


def test_uncommitted_judgements_are_not_stored(store: StateStore):
    def break_off() -> None:
        with store.write() as connection:
            insert_judgement(connection, judgement("a"))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        break_off()

    assert sign_ups_after(store, 0) == []


def test_the_last_label_of_a_user_is_used(store: StateStore):
    assert last_label(store) == 0
    record_label(store, Label("u", True, AT, "Ana"))
    record_label(store, Label("u", False, AT, "Bob", "was a family"))

    assert label_of(store, "u") == Label("u", False, AT, "Bob", "was a family")
    assert label_of(store, "v") is None
    assert [label.labelled_by for label in last_labels(store, 5)] == ["Bob", "Ana"]
    assert last_label(store) == 2
