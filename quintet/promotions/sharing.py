"""How a population shares keys: how commonly, which keys mean nothing, and from which places rings sign up."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from scipy.special import betainc

from quintet.promotions.accounts import Accounts
from quintet.promotions.identity import (
    CODE_BURST,
    KIND_NAMES,
    KINDS,
    MOST_COUNTED,
    MOST_SHARERS_SQL,
    STRONG,
    Keys,
    place_number,
)
from quintet.promotions.names import are_strangers, full_name
from quintet.warehouse.connect import connect_closed

_FEWEST_COMMON, _LEAST_SPREAD, _MOST_IN_COMMON = 10, 0.17, 0.1
_LEAST_ODDS, _MANY, _MOST_OF_FRIENDS = 0.002, 20, 0.2
_LARGEST_FAMILY, _FEWEST_IN_PLACE, _MOST_HERE = 6, 3, 0.85
_PAIR, _FEWEST_PAIRS = 2, 20
_DEVICE, _ADDRESS, _NETWORK = (KIND_NAMES.index(name) for name in ("device", "ip", "subnet"))
_PLACES = (_ADDRESS, _NETWORK)
_OF_PROVIDERS = tuple(KIND_NAMES.index(name) for name in ("mailbox_stem", "mail_domain", "phone_range"))
_PERSONAL = tuple(KIND_NAMES.index(name) for name in ("device", "email", "phone"))


@contextmanager
def _connected(keys: Keys) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect_closed(threads=2, memory_limit="2GB") as connection:
        of_keys = {"account": pa.array(keys.row), "kind": pa.array(keys.kind), "key": keys.key}
        connection.register("identity_key", pa.table(of_keys))
        yield connection


_ACCOUNTS_BY_SHARERS = f"""
    select kind, sharers, count(*)
    from (
        select kind, account, max(sharers) as sharers
        from (
            select kind, account, count(*) over (partition by kind, key) as sharers
            from (select distinct account, kind, key from identity_key)
        )
        where sharers between 2 and {MOST_SHARERS_SQL}
        group by all
    )
    group by all
"""


def sharing_shares(keys: Keys, accounts: int) -> dict[str, tuple[float, ...]]:
    """Return by kind, and number of sharers up to `MOST_COUNTED`, how common it is that as many share a key.

    Of a soft kind it is the share of accounts that share a key that is not a hub, for any number. Of a strong kind it
    is the share of those that share a key with a third as many or more, so that a family of six is as common as any;
    of these a key counts for at most twice as many accounts: a large ring must not make its own key common. It never
    rises with the number.
    """
    with _connected(keys) as connection:
        found = connection.sql(_ACCOUNTS_BY_SHARERS).fetchall()
    shares = np.zeros((len(KINDS), MOST_COUNTED + 1))
    as_many = np.maximum(np.arange(MOST_COUNTED + 1) / 2, 2)
    for number, sharers, count in found:
        counted = count * np.minimum(1, 2 * as_many / sharers) * (as_many <= sharers)
        shares[number] += counted if number in STRONG else count
    shares = np.minimum.accumulate(shares, axis=1)
    return dict(zip(KIND_NAMES, map(tuple, (shares / max(accounts, 1)).tolist()), strict=True))


def stranger_share(keys: Keys, accounts: Accounts) -> float:
    """Return the share of pairs who alone have a device in common whose family names differ, 1 if there are few pairs.

    The fewer, the less does a group whose names all differ look like a family.
    """
    held = np.flatnonzero(keys.kind == _DEVICE)
    device = keys.key.take(pa.array(held)).dictionary_encode().indices.to_numpy()
    of_two = np.flatnonzero(np.bincount(device, minlength=1)[device] == _PAIR)
    side_by_side = of_two[np.argsort(device[of_two], kind="stable")]
    rows = pa.array(keys.row[held[side_by_side]])
    columns = (pa.array(accounts.fields[column], pa.string()) for column in ("first_name", "last_name"))
    name = [full_name(*names) for names in zip(*(column.take(rows).to_pylist() for column in columns), strict=True)]
    strangers = are_strangers(name[::2], name[1::2])
    kin = np.count_nonzero(strangers == 0)
    return float(1 - kin / (np.count_nonzero(np.isfinite(strangers)) + _FEWEST_PAIRS))


_COMMON = f"""
    with own_key as (
        select distinct identity_key.*, signed_up.* exclude (account)
        from identity_key join signed_up using (account)
        where kind in ({", ".join(map(str, STRONG))})
    ),

    held as (
        select * from own_key
        qualify count(*) over (partition by kind, key) >= {_FEWEST_COMMON}
    ),

    -- one place says nothing about a device: people in a shop or a library are where it stands;
    -- nor do numbered mailboxes, which some providers hand out to everybody, and the providers themselves
    other_key as (
        select distinct account, kind as other_kind, key as other_key
        from identity_key semi join held using (account)
        where kind < {CODE_BURST} and kind not in {_OF_PROVIDERS}
    ),

    elsewhere as (
        select held.kind, held.key, held.account, other_kind, other_key
        from held join other_key on held.account = other_key.account and held.kind <> other_key.other_kind
        where not (held.kind = {_DEVICE} and other_kind in {_PLACES})
    ),

    agreeing as (
        select kind, key, account from elsewhere
        qualify count(*) over (partition by kind, key, other_kind, other_key) > 1
    ),

    code_share as (select code, count(*) / sum(count(*)) over () as share from used group by code),

    of_code as (
        select held.kind, held.key, used.code, count(*) as uses
        from held join used using (account)
        group by all
    ),

    by_code as (
        select kind, key, sum(uses) as uses, list(struct_pack(uses, share)) as codes
        from of_code join code_share using (code)
        group by all
    ),

    by_agreement as (select kind, key, count(distinct account) as agreeing from agreeing group by all),

    comparable as (
        select kind, key, count(distinct account) as comparable from elsewhere group by all
    )

    select
        kind, key, coalesce(any_value(codes), []),
        sum(unverified_email), count(unverified_email), sum(unverified_phone), count(unverified_phone)
    from held
    left join by_code using (kind, key)
    left join by_agreement using (kind, key)
    join comparable using (kind, key)
    group by kind, key
    having any_value(comparable) >= {1 - _MOST_IN_COMMON} * count(*)
        and coalesce(any_value(agreeing), 0) <= {_MOST_IN_COMMON} * count(*)
        and (count(*) >= {_MANY} or coalesce(any_value(uses), 0) >= {_FEWEST_COMMON} / 2)
        and stddev_pop(created_at_s) >= {_LEAST_SPREAD} * ?
    order by kind, key
"""


def common_keys(keys: Keys, accounts: Accounts, span_seconds: float) -> tuple[str, ...]:
    """Return the strong keys that unrelated people share, as "<kind> <key>".

    At least 10 accounts have it; nearly all have other keys, on which hardly any two of them agree, the place of a
    device apart; they use each code as often as the population does; they signed up throughout `span_seconds`, the time
    of the population; and they have verified phones and e-mails as often as it.
    """
    code = accounts.code if isinstance(accounts.code, pa.Array) else pa.array(accounts.code, pa.string())
    with _connected(keys) as connection:
        connection.register("used", pa.table({"account": pa.array(accounts.code_row), "code": code}))
        times = pa.table(
            {
                "account": np.arange(len(accounts)),
                "created_at_s": accounts.created_at_s,
                "unverified_email": pa.array(accounts.unverified_email, from_pandas=True),
                "unverified_phone": pa.array(accounts.unverified_phone, from_pandas=True),
            }
        )
        connection.register("signed_up", times)
        found = connection.execute(_COMMON, [span_seconds]).fetchall()
    unverified = [_share_of_ones(flags) for flags in (accounts.unverified_email, accounts.unverified_phone)]
    return tuple(
        f"{KIND_NAMES[number]} {value}"
        for number, value, codes, *counts in found
        if not _has_codes_of_a_ring(codes) and not _surprising(zip(counts[::2], counts[1::2], unverified, strict=True))
    )


def _share_of_ones(flags: np.ndarray) -> float:
    known = flags[np.isfinite(flags)]
    return float(known.mean()) if len(known) else 1.0


def _has_codes_of_a_ring(codes: Collection[Mapping[str, Any]]) -> bool:
    """Return whether more than a fifth of the uses are of codes that are used far more often than by the population.

    A few friends among many people who share a device do not make a ring of these.
    """
    uses = sum(code["uses"] for code in codes)
    return sum(_surprising((code["uses"], uses, code["share"]) for code in codes)) > _MOST_OF_FRIENDS * uses


def _surprising(counts: Iterable[tuple[int | None, int, float]]) -> list[int]:
    """Return the successes, of several (successes, trials, share of the population), with odds below 0.2% in all."""
    some = [(successes, trials, share) for successes, trials, share in counts if successes]
    return [k for k, n, share in some if betainc(k, n - k + 1, share) < _LEAST_ODDS / len(some)]


_RING_PLACES = f"""
    with personal as (
        select account, kind, key, count(*) over (partition by kind, key) as sharers
        from (select distinct account, kind, key from identity_key where kind in {_PERSONAL})
        qualify sharers > {_FEWEST_IN_PLACE}
    ),

    place as (
        select account, kind, key, count(*) over (partition by kind, key) as sharers
        from (select distinct account, kind, key from identity_key where kind in {_PLACES})
    ),

    placed as (
        select
            place.kind,
            place.key,
            place.sharers as here,
            personal.kind as personal_kind,
            personal.key as personal_key,
            personal.sharers as sharing,
            count(*) over (partition by place.kind, personal.kind, personal.key) as sharing_anywhere
        from place join personal using (account)
        where place.sharers <= {MOST_SHARERS_SQL.replace("kind", "place.kind")}
    ),

    of_both as (
        select *, count(*) as sharing_here
        from placed
        group by all
    )

    select distinct key from of_both
    where sharing_here >= {_FEWEST_IN_PLACE}
        and sharing_here between here / 2 and here - 1
        and sharing_here <= {_MOST_HERE} * sharing_anywhere
        and here + sharing - sharing_here > {_LARGEST_FAMILY}
"""


def ring_places(keys: Keys) -> tuple[str, ...]:
    """Return `place_number` of the addresses and networks of rings, without common keys.

    At least 3, and half, of the accounts there share a device, mailbox or phone of which 15% or more are elsewhere, and
    all are more than a family. The others there changed it: only the place is left of what they have in common. A
    device that stays in one place, as in a café, makes no ring's place of it.
    """
    with _connected(keys) as connection:
        return tuple(sorted(place_number(place) for (place,) in connection.sql(_RING_PLACES).fetchall()))
