"""The candidate graph: which accounts are read, and which are visited before any pair is weighed."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pyarrow as pa

from quintet.promotions.candidate_graph import Added, CandidateGraph, Columns, Stored, members_of_entries
from quintet.promotions.identity import KIND_NAMES, KINDS
from quintet.promotions.links import LINK_FROM, Members

DEVICE, SUBNET = KIND_NAMES.index("device"), KIND_NAMES.index("subnet")
POINTS = [[0.0, *[kind.points] * 50] for kind in KINDS]


def added(user_id: str, *keys: tuple[int, int]) -> Added:
    return Added(
        user_id, 5.0, user_id, np.zeros(0, dtype=np.int64), np.zeros(0), np.nan, np.nan, np.nan, np.nan, 0, 0.0, 0, 0.0,
        tuple(kind for kind, _ in keys), tuple(key for _, key in keys),
    )  # fmt: skip


def test_a_stored_account_equals_the_added_one():
    columns = Columns(
        user_id=pa.array(["a", "b"]),
        members=Members(
            created_at_s=np.array([1.0, 2.0]),
            name=np.array(["ann", "bob"], dtype=object),
            code_start=np.array([0, 2, 3]),
            code=np.array([7, 8, 9]),
            code_rarity=np.array([0.1, 0.2, 0.3]),
            born_at_s=np.array([1.0, 2.0]),
            unverified_email=np.array([0.0, 1.0]),
            unverified_phone=np.array([1.0, 0.0]),
            early_use=np.array([1.0, 0.0]),
            agent=np.array([5, 0]),
            agent_share=np.array([0.1, 0.2]),
            form=np.array([0, 6]),
            form_share=np.array([0.3, 0.4]),
        ),
        key_start=np.array([0, 1, 3]),
        kind=np.array([0, 1, 2], dtype=np.uint8),
        key=np.array([10, 20, 30]),
    )
    first, second = Stored(columns, 0), Stored(columns, 1)

    assert (second.user_id, second.kind, second.key) == ("b", (1, 2), (20, 30))
    again = members_of_entries([first, second])
    for name in (field.name for field in fields(Members)):
        assert getattr(again, name).tolist() == getattr(columns.members, name).tolist()


def looked_up(graph: CandidateGraph, known: list[Added]) -> bool:
    keys = graph.keys_to_look_up()
    holders = {key: [row for row, one in enumerate(known) if key in one.key] for key in keys}
    return graph.look_up(keys, holders, {}, known.__getitem__, POINTS)


def test_accounts_linked_by_keys_alone_are_the_next_frontier():
    known = [added("same device", (DEVICE, 1), (DEVICE, 2)), added("its other device", (DEVICE, 2))]
    guest = CandidateGraph([], added("guest", (DEVICE, 1)), known=None, below=len(known))

    assert KINDS[DEVICE].points >= LINK_FROM
    assert looked_up(guest, known), "it continues from the account of the same device"
    assert looked_up(guest, known), "and by the one after it"
    assert not looked_up(guest, known)
    assert sorted(guest.fresh_pairs()) == [(0, 1), (1, 2)]
    assert guest.fresh_pairs() == {}


def test_accounts_that_share_little_wait_for_their_weight():
    known = [added("same net", (SUBNET, 1), (DEVICE, 2)), added("its device", (DEVICE, 2))]
    guest = CandidateGraph([], added("guest", (SUBNET, 1)), known=None, below=len(known))

    assert not looked_up(guest, known)
    assert list(guest.fresh_pairs()) == [(0, 1)]
    assert guest.take([(0, 1)]), "weighed it was a link"
    assert looked_up(guest, known)
    assert list(guest.fresh_pairs()) == [(1, 2)]
