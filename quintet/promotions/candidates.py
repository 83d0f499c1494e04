"""Candidate pairs of a batch: accounts that share a key that is not a hub."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from quintet.promotions.accounts import Accounts, rows_of
from quintet.promotions.identity import (
    KINDS,
    MOST_SHARERS_SQL,
    NEAREST,
    STRONG,
    Numbering,
    agent_numbers,
    hashed,
    identity_keys,
    number_of,
)
from quintet.promotions.links import Members, Pairs
from quintet.promotions.names import full_name
from quintet.promotions.profile import Population, mailbox_forms
from quintet.warehouse.connect import connect_closed

PAIRS_SQL = f"""
    with own_key as (select distinct account, kind, key from identity_key),

    shared_key as (
        select kind, key, count(*) as sharers
        from own_key
        group by all
        having count(*) between 2 and {MOST_SHARERS_SQL}
    ),

    held as (select account, kind, key, sharers from own_key join shared_key using (kind, key)),

    is_large as (
        select kind, key from shared_key where sharers > {NEAREST} and kind in ({", ".join(map(str, STRONG))})
    ),

    in_time as (
        select held.*, row_number() over (partition by kind, key order by created_at_s, account) as place
        from held
        join is_large using (kind, key)
        join signed_up using (account)
    ),

    of_small as (select * from held anti join is_large using (kind, key)),

    pair as (
        select held.account as one, other.account as two, kind, held.sharers
        from of_small as held join of_small as other using (kind, key)
        where held.account < other.account
        union all by name
        select held.account as one, other.account as two, kind, held.sharers
        from in_time as held join in_time as other using (kind, key)
        where other.place between held.place + 1 and held.place + {NEAREST // 2}
    )

    select
        least(one, two) as a,
        greatest(one, two) as b,
        {", ".join(f"coalesce(min(sharers) filter (kind = {n}), 0) as of_{n}" for n in range(len(KINDS)))}
    from pair
    group by all
    order by all
"""
"""The rows of `Pairs` from `identity_key` (account, kind, key) and `signed_up` (account, created_at_s)."""


def pairs_of(accounts: Accounts, population: Population, memory_limit: str = "2GB") -> Pairs:
    """Return all pairs of accounts that share a key that is not a hub; of a large strong key those nearest in time."""
    row, kind, key = identity_keys(accounts, population.key_rules)
    at_s = np.where(np.isfinite(accounts.created_at_s), accounts.created_at_s, np.inf)
    with connect_closed(threads=2, memory_limit=memory_limit) as connection:
        connection.register("identity_key", pa.table({"account": pa.array(row), "kind": pa.array(kind), "key": key}))
        connection.register("signed_up", pa.table({"account": np.arange(len(accounts)), "created_at_s": at_s}))
        table = connection.sql(PAIRS_SQL).to_arrow_table()
    a, b, *sharers = (column.to_numpy() for column in table.columns)
    return Pairs(a, b, np.stack(sharers, axis=1).astype(float))


def members_of(accounts: Accounts, population: Population, number: Numbering = number_of) -> Members:
    """Return the accounts as members, the input of links. number: identifies codes, agents and forms."""
    name = np.empty(len(accounts), dtype=object)
    name[:] = [full_name(*names) for names in rows_of(accounts.fields["first_name"], accounts.fields["last_name"])]
    forms = list(mailbox_forms(accounts))
    rarity = (population.code_rarity(code) for (code,) in rows_of(accounts.code))
    return Members(
        created_at_s=accounts.created_at_s,
        name=name,
        code_start=accounts.code_start,
        code=hashed(accounts.code, number=number),
        code_rarity=np.fromiter(rarity, dtype=float, count=len(accounts.code)),
        born_at_s=accounts.born_at_s,
        unverified_email=accounts.unverified_email,
        unverified_phone=accounts.unverified_phone,
        early_use=np.where(
            np.isfinite(accounts.use_lag_days), accounts.use_lag_days <= population.early_use_days, np.nan
        ),
        agent=agent_numbers(accounts),
        agent_share=np.fromiter(
            (population.agent_share_of(agent) for (agent,) in rows_of(accounts.fields["user_agent"])),
            dtype=float,
            count=len(accounts),
        ),
        form=np.fromiter((0 if form is None else number((form,)) for form in forms), dtype=np.int64),
        form_share=np.fromiter(map(population.form_share_of, forms), dtype=float),
    )
