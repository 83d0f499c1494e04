"""Candidate pairs of a batch: accounts that share a key that is not a hub."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa

from quintet.promotions.accounts import Accounts, rows_of
from quintet.promotions.identity import KINDS, hashed, identity_keys
from quintet.promotions.links import Members, Pairs
from quintet.promotions.profile import Population

_PAIRS = f"""
    with own_key as (select distinct account, kind, key from identity_key),

    shared_key as (
        select kind, key, count(*) as sharers
        from own_key
        group by all
        having count(*) between 2 and [{", ".join(str(kind.most_sharers) for kind in KINDS)}][kind + 1]
    ),

    held as (select account, kind, key, sharers from own_key join shared_key using (kind, key))

    select
        held.account as a,
        other.account as b,
        {", ".join(f"coalesce(min(held.sharers) filter (kind = {number}), 0)" for number in range(len(KINDS)))}
    from held join held as other using (kind, key)
    where held.account < other.account
    group by all
    order by all
"""


def pairs_of(accounts: Accounts, memory_limit: str = "2GB") -> Pairs:
    """Return all pairs of accounts that share a key that is not a hub."""
    row, kind, key = identity_keys(accounts)
    with duckdb.connect(config={"threads": 2, "memory_limit": memory_limit}) as connection:
        connection.register("identity_key", pa.table({"account": pa.array(row), "kind": pa.array(kind), "key": key}))
        table = connection.sql(_PAIRS).to_arrow_table()
    a, b, *sharers = (column.to_numpy() for column in table.columns)
    return Pairs(a, b, np.stack(sharers, axis=1).astype(float))


def members_of(accounts: Accounts, population: Population) -> Members:
    """Return the accounts as members, the input of links."""
    name = np.empty(len(accounts), dtype=object)
    name[:] = [_full_name(*names) for names in rows_of(accounts.fields["first_name"], accounts.fields["last_name"])]
    rarity = (population.code_rarity(code) for (code,) in rows_of(accounts.code))
    return Members(
        created_at_s=accounts.created_at_s,
        name=name,
        code_start=accounts.code_start,
        code=hashed(accounts.code),
        code_rarity=np.fromiter(rarity, dtype=float, count=len(accounts.code)),
    )


def _full_name(first: str | None, last: str | None) -> str:
    """Return the known names in lower case."""
    return f"{first or ''} {last or ''}".lower().strip()
