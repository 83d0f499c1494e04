"""Judgements and labels in the state store."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from quintet.promotions.store import (
    REPEATED,
    JudgementRecord,
    Label,
    all_labels,
    insert_judgement,
    label_of,
    last_labels,
    record_label,
    sign_ups_after,
    was_judged,
)
from quintet.state.store import StateStore

AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def judgement(user_id: str) -> JudgementRecord:
    sign_up, usages = {"user_id": user_id, "email": "ана@example.com"}, [{"promo_code": "A"}]
    return JudgementRecord(
        user_id, AT, "app", sign_up, usages, 0.5, "review", ["R_2"], None, 1, "m", f"sent: {user_id}"
    )


def test_sign_ups_are_returned_in_order_as_received(store: StateStore):
    with store.write() as connection:
        for user_id in ("b", "a"):
            insert_judgement(connection, judgement(user_id))
    (first, sign_up, usages), (second, *_) = sign_ups_after(store, 0)

    assert (sign_up, usages) == (judgement("b").sign_up, [{"promo_code": "A"}])
    assert [one[0] for one in sign_ups_after(store, first)] == [second]
    assert was_judged(store, "a")
    assert not was_judged(store, "c")


def test_a_request_that_is_repeated_gets_the_first_judgement_for_a_while(store: StateStore):
    first = judgement("a")

    def judged(**changes: object) -> JudgementRecord:
        with store.write() as connection:
            return insert_judgement(connection, replace(first, **changes))

    assert judged() == first
    other = {"score": 0.9, "decision": "block", "reasons": ["S_3"], "cluster_id": "b", "cluster_size": 2}
    for at in (AT, AT + REPEATED, AT - REPEATED):  # clocks of services are apart
        assert judged(judged_at=at, **other) == first
    assert len(sign_ups_after(store, 0)) == 1
    later = {"judged_at": AT + REPEATED + dt.timedelta(seconds=1), "score": 0.9}
    assert judged(**later) == replace(first, **later), "the twin"
    assert judged(request_sha256="with another use").request_sha256 == "with another use"
    assert len(sign_ups_after(store, 0)) == 3


def test_the_release_before_writes_judgements_beside_this_one(store: StateStore):
    with store.write() as connection:
        insert_judgement(connection, judgement("a"))
        connection.execute(
            "insert into abuse_judgements (user_id, judged_at, judged_by, sign_up, usages, score, decision, reasons, "
            "cluster_id, cluster_size, model_version) select 'b', judged_at, judged_by, sign_up, usages, score, "
            "decision, reasons, cluster_id, cluster_size, model_version from abuse_judgements"
        )
        insert_judgement(connection, judgement("b"))
    rows = store.read().execute("select user_id from abuse_judgements order by judgement_id").fetchall()
    assert [row["user_id"] for row in rows] == ["a", "b", "b"], "a digest that is missing equals none"


def test_uncommitted_judgements_are_not_stored(store: StateStore):
    def break_off() -> None:
        with store.write() as connection:
            insert_judgement(connection, judgement("a"))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        break_off()

    assert sign_ups_after(store, 0) == []


def test_the_last_label_of_a_user_is_used(store: StateStore):
    assert list(all_labels(store)) == []
    record_label(store, Label("u", True, AT, "Ana"))
    record_label(store, Label("u", False, AT, "Bob", "was a family"))

    assert label_of(store, "u") == Label("u", False, AT, "Bob", "was a family")
    assert label_of(store, "v") is None
    assert [label.labelled_by for label in last_labels(store, 5)] == ["Bob", "Ana"]
    assert [label.labelled_by for label in all_labels(store)] == ["Ana", "Bob"]
