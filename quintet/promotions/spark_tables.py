"""The tables that travel between this machine and the workers of a cluster, and the accounts and pairs in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from quintet.promotions.accounts import TEXTS, Accounts
from quintet.promotions.behaviour import BEHAVIOUR_EVIDENCE
from quintet.promotions.identity import KINDS, Keys
from quintet.promotions.links import LINK_EVIDENCE, Members, Pairs
from quintet.promotions.profile import PROFILE_EVIDENCE

ROWS_AT_ONCE = 100_000
"""Rows of a file."""

_NUMBERS = (
    "created_at_s",
    "born_at_s",
    "unverified_email",
    "unverified_phone",
    "age_years",
    "use_lag_days",
    "uses",
)
_ROW = [("row", pa.int64())]
_TEXTS_OF_LIST, _NUMBERS_OF_LIST, _REALS = pa.list_(pa.string()), pa.list_(pa.int64()), pa.list_(pa.float64())

ACCOUNTS = pa.schema(
    [
        ("part", pa.int32()),
        *_ROW,
        *((name, pa.string()) for name in TEXTS),
        *((name, pa.float64()) for name in _NUMBERS),
        ("codes", _TEXTS_OF_LIST),
    ]
)
"""Stretches of accounts."""

OWN = (*PROFILE_EVIDENCE, *BEHAVIOUR_EVIDENCE)
"""The evidence of an account by itself."""

MEMBER = {
    "created_at_s": pa.float64(),
    "name": pa.string(),
    "codes": _NUMBERS_OF_LIST,
    "code_rarity": _REALS,
    "born_at_s": pa.float64(),
    "unverified_email": pa.float64(),
    "unverified_phone": pa.float64(),
    "early_use": pa.float64(),
    "agent": pa.int64(),
    "agent_share": pa.float64(),
    "form": pa.int64(),
    "form_share": pa.float64(),
}
"""The columns of `Members`; the codes of an account are a list."""
_PLAIN = tuple(name for name in MEMBER if name not in ("name", "codes", "code_rarity"))

DESCRIBED = pa.schema(
    [
        *_ROW,
        *MEMBER.items(),
        ("kinds", _NUMBERS_OF_LIST),
        ("keys", _TEXTS_OF_LIST),
        *((name, pa.float64()) for name in OWN),
    ]
)
"""Accounts with their keys and the evidence of each by itself."""

TOGETHER = pa.schema(
    [
        ("part", pa.int32()),
        *_ROW,
        ("own", pa.bool_()),
        ("component", pa.int64()),
        ("size", pa.int64()),
        *MEMBER.items(),
        ("a", pa.int64()),
        ("b", pa.int64()),
        ("sharers", _NUMBERS_OF_LIST),
        ("weight", pa.float64()),
        ("shared_code", pa.float64()),
    ]
)
"""Accounts, which have a row, and pairs of them, which have a and b."""

WEIGHTS = pa.schema([("a", pa.int64()), ("b", pa.int64()), ("weight", pa.float64()), ("shared_code", pa.float64())])
LINKED = pa.schema([*_ROW, *((name, pa.float64()) for name in LINK_EVIDENCE)])


@dataclass(frozen=True)
class Together:
    """Accounts of a group in the order of their rows, and pairs of them, ordered by a and b.

    own: positions of the accounts whose evidence the group gives; the others are only paired with them. component,
    size: of each account's cluster; weight, shared_code: of each pair; null while they are unknown.
    """

    row: np.ndarray
    members: Members
    own: np.ndarray
    component: np.ndarray
    size: np.ndarray
    pairs: Pairs
    weight: np.ndarray
    shared_code: np.ndarray


def stretches(all_accounts: Accounts, group_rows: int) -> Iterator[pa.Table]:
    """Yield the accounts with the columns of `ACCOUNTS`, in parts of `group_rows`."""
    start = all_accounts.code_start
    for number, begin in enumerate(range(0, len(all_accounts), group_rows)):
        stretch = slice(begin, min(begin + group_rows, len(all_accounts)))
        rows = stretch.stop - begin
        codes = pa.array(all_accounts.code[start[begin] : start[stretch.stop]], pa.string())
        columns = [
            pa.array(np.full(rows, number), pa.int32()),
            pa.array(np.arange(begin, stretch.stop)),
            *(pa.array(all_accounts.fields[name][stretch], pa.string()) for name in TEXTS),
            *(pa.array(getattr(all_accounts, name)[stretch], pa.float64()) for name in _NUMBERS),
            _lists(np.diff(start[begin : stretch.stop + 1]), codes),
        ]
        yield pa.table(columns, schema=ACCOUNTS)


def accounts(stretch: pa.Table) -> tuple[np.ndarray, Accounts]:
    """Return the rows and the accounts of a stretch, in order of their rows."""
    given = stretch.select(ACCOUNTS.names).cast(ACCOUNTS).sort_by("row")
    start, code = _flat(given["codes"])
    return given["row"].to_numpy(), Accounts(
        fields={name: given[name].combine_chunks() for name in TEXTS},
        **{name: given[name].to_numpy() for name in _NUMBERS},
        code_start=start,
        code=code,
    )


def described(row: np.ndarray, members: Members, keys: Keys, own: dict[str, np.ndarray]) -> pa.Table:
    """Return accounts with the columns of `DESCRIBED`."""
    used = np.diff(members.code_start)
    by_row = np.argsort(keys.row, kind="stable")
    held = np.bincount(keys.row, minlength=len(row))
    columns = {
        "row": row,
        "name": pa.array(members.name.tolist(), pa.string()),
        "codes": _lists(used, pa.array(members.code)),
        "code_rarity": _lists(used, pa.array(members.code_rarity)),
        **{name: getattr(members, name) for name in _PLAIN},
        "kinds": _lists(held, pa.array(keys.kind[by_row].astype(np.int64))),
        "keys": _lists(held, keys.key.take(pa.array(by_row))),
        **own,
    }
    return pa.table([columns[name] for name in DESCRIBED.names], schema=DESCRIBED)


def together(rows: pa.Table) -> pa.Table:
    """Return the rows with the columns of `TOGETHER`; columns that are not there are null."""
    known = set(rows.column_names)
    columns = [
        rows[field.name].cast(field.type) if field.name in known else pa.nulls(len(rows), field.type)
        for field in TOGETHER
    ]
    return pa.table(columns, schema=TOGETHER)


def seen_together(group: pa.Table) -> Together:
    """Return the accounts and pairs of a group, in the same order however its rows are ordered."""
    given = together(group)
    is_pair = given["b"].is_valid()
    found = given.filter(is_pair).sort_by([("a", "ascending"), ("b", "ascending")])
    near = given.filter(given["row"].is_valid()).sort_by("row")
    row = near["row"].to_numpy()
    sharers = _flat(found["sharers"])[1].to_numpy().reshape(-1, len(KINDS)).astype(float)
    a, b = (np.searchsorted(row, found[name].to_numpy()) for name in ("a", "b"))
    return Together(
        row=row,
        members=_members(near),
        own=np.flatnonzero(near["own"].fill_null(False).to_numpy()),
        component=near["component"].to_numpy(),
        size=near["size"].to_numpy(),
        pairs=Pairs(a, b, sharers),
        weight=found["weight"].to_numpy(),
        shared_code=found["shared_code"].to_numpy(),
    )


def _members(near: pa.Table) -> Members:
    name = np.empty(len(near), dtype=object)
    name[:] = near["name"].to_pylist()
    start, code = _flat(near["codes"])
    return Members(
        name=name,
        code_start=start,
        code=code.to_numpy(),
        code_rarity=_flat(near["code_rarity"])[1].to_numpy(),
        **{column: near[column].to_numpy() for column in _PLAIN},
    )


def _lists(lengths: np.ndarray, values: pa.Array) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32()), values)


def _flat(lists: pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    """Return where the values of each row start, and the values."""
    column = lists.combine_chunks()
    lengths = column.value_lengths().to_numpy(zero_copy_only=False)
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), column.flatten()
