"""Sign-ups as columns: the form in which both a million accounts and a single one are scored."""

from __future__ import annotations

import datetime as dt
import math
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from quintet.warehouse.connect import connect_closed

LONGEST_TEXT = 320
"""Characters of a field that are read: the length of the longest e-mail address."""

TEXTS = ("user_id", "email", "phone", "first_name", "last_name", "ip_address", "device_id", "user_agent")
FLAGS = ("is_email_verified", "is_phone_verified")
_SECONDS_PER_DAY = 86_400
_ROWS_AT_ONCE = 100_000

Column = Sequence[str | None]
"""Texts: an Arrow array, which is compact, or for a few accounts a list, which is ten times faster to build."""


@dataclass(frozen=True)
class SignUp:
    """A person who signs up. Unknown fields are None and no evidence. created_at is UTC; naive means UTC."""

    user_id: str
    created_at: dt.datetime | None = None
    email: str | None = None
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    ip_address: str | None = None
    device_id: str | None = None
    dob: dt.date | None = None
    user_agent: str | None = None
    is_email_verified: bool | None = None
    is_phone_verified: bool | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> SignUp:
        """Return the sign-up of a mapping: other fields are ignored, numbers become text, invalid dates are unknown.

        Raises ValueError without a user_id.
        """
        texts = {name: _text(given.get(name)) for name in TEXTS}
        user_id = texts.pop("user_id")
        if user_id is None:
            raise ValueError("a sign-up needs a user_id")
        born = _time(given.get("dob"))
        return cls(
            code_of(user_id),
            _time(given.get("created_at")),
            dob=None if born is None else born.date(),
            is_email_verified=_flag(given.get("is_email_verified")),
            is_phone_verified=_flag(given.get("is_phone_verified")),
            **texts,
        )


@dataclass(frozen=True)
class Usage:
    """A use of a promotion code. used_at is UTC; naive means UTC."""

    user_id: str
    promo_code: str
    used_at: dt.datetime | None = None


@dataclass(frozen=True)
class Accounts:
    """Sign-ups by row, and the codes that each of them used.

    fields: the text columns, trimmed, None where unknown. created_at_s, born_at_s: Unix seconds; age_years: at sign-up;
    unverified_email, unverified_phone: 1 if the account has not verified it, else 0; use_lag_days: from sign-up to the
    first use; each NaN where unknown. uses: number of uses. Row i used the distinct codes
    `code[code_start[i]:code_start[i + 1]]`.
    """

    fields: Mapping[str, Column]
    created_at_s: np.ndarray
    born_at_s: np.ndarray
    unverified_email: np.ndarray
    unverified_phone: np.ndarray
    age_years: np.ndarray
    use_lag_days: np.ndarray
    uses: np.ndarray
    code_start: np.ndarray
    code: Column

    def __len__(self) -> int:
        """The number of accounts."""
        return len(self.created_at_s)

    @property
    def user_id(self) -> pa.Array:
        """The user ids."""
        return pa.array(self.fields["user_id"], pa.string())

    @property
    def code_row(self) -> np.ndarray:
        """The account of each entry of `code`."""
        return np.repeat(np.arange(len(self)), np.diff(self.code_start))


_ONE_ROW_BY_USER = """
    select * from users where user_id is not null
    qualify row_number() over (partition by user_id order by created_at_s nulls last, email, phone) = 1
    order by user_id
"""
_FIRST_USES = """
    select accounts.row_number, usages.promo_code, min(usages.used_at_s) as used_at_s,
        count(distinct coalesce(usages.used_at_s, -1)) as uses
    from usages join accounts on usages.user_id = accounts.user_id
    where usages.promo_code is not null
    group by all
    order by all
"""


def accounts_of(users: pd.DataFrame | pa.Table, usages: pd.DataFrame | pa.Table | None = None) -> Accounts:
    """Return the accounts of the users, sorted by user_id; of rows with one user_id the earliest is used.

    users: the fields of `SignUp`; any but user_id may be absent, others are ignored; created_at and dob are dates or
    timestamps, UTC. usages: user_id, promo_code, used_at; usages of other users are ignored.
    """
    signed_up = pa.table(
        [_seconds(_column(users, "created_at")), _seconds(_column(users, "dob"))]
        + [_unverified(_column(users, name)) for name in FLAGS]
        + [_trimmed(_column(users, name)) for name in TEXTS],
        names=["created_at_s", "born_at_s", *FLAGS, *TEXTS],
    )
    with connect_closed(threads=2) as connection:
        connection.register("users", signed_up)
        unique = connection.sql(_ONE_ROW_BY_USER).to_arrow_table()
        fields = {name: unique[name].combine_chunks() for name in TEXTS}
        numbers = [_floats(unique[name]) for name in ("created_at_s", "born_at_s", *FLAGS)]
        if usages is None:
            return _assembled(
                fields, numbers, np.zeros(0, dtype=int), pa.array([], pa.string()), np.zeros(0), np.zeros(0)
            )
        used = {"user_id": _trimmed(_column(usages, "user_id")), "promo_code": _trimmed(_column(usages, "promo_code"))}
        connection.register("usages", pa.table({**used, "used_at_s": _seconds(_column(usages, "used_at"))}))
        rows = pa.array(np.arange(len(unique)))
        connection.register("accounts", pa.table({"user_id": unique["user_id"], "row_number": rows}))
        uses = connection.sql(_FIRST_USES).to_arrow_table()
    of_row = uses["row_number"].to_numpy(), uses["promo_code"].combine_chunks()
    return _assembled(fields, numbers, *of_row, _floats(uses["used_at_s"]), _floats(uses["uses"]))


def accounts_as_given(given: Sequence[tuple[SignUp, Iterable[Usage]]]) -> Accounts:
    """Return an account for each sign-up with its usages, in the order given; each equals `accounts_of` of one row."""
    entries: list[tuple[int, str, float, float]] = []
    for number, (_, usages) in enumerate(given):
        uses: dict[str, set[float]] = {}
        for usage in usages:
            code = _text(usage.promo_code)
            code = None if code is None else code_of(code)
            if code is not None:
                uses.setdefault(code, set()).add(_unix_seconds(usage.used_at))
        for code in sorted(uses):
            first_use_s = min((at for at in uses[code] if not math.isnan(at)), default=math.nan)
            entries.append((number, code, first_use_s, len(uses[code])))
    sign_ups = [sign_up for sign_up, _ in given]
    number_of, codes, first_uses_s, counts = zip(*entries, strict=True) if entries else ((), (), (), ())
    return _assembled(
        {name: [_text(getattr(one, name)) for one in sign_ups] for name in TEXTS},
        [
            np.array([_unix_seconds(one.created_at) for one in sign_ups], dtype=float),
            np.array([_born_at_seconds(one.dob) for one in sign_ups], dtype=float),
            *(np.array([_unverified_of(getattr(one, name)) for one in sign_ups], dtype=float) for name in FLAGS),
        ],
        np.array(number_of, dtype=int),
        list(codes),
        np.array(first_uses_s, dtype=float),
        np.array(counts, dtype=float),
    )


def rows_of(*columns: Column) -> Iterator[tuple[Any, ...]]:
    """Yield the values of each row, in chunks: of a million rows only some are in memory at a time."""
    for start in range(0, len(columns[0]), _ROWS_AT_ONCE):
        parts = (column[start : start + _ROWS_AT_ONCE] for column in columns)
        yield from zip(*(part.to_pylist() if isinstance(part, pa.Array) else part for part in parts), strict=True)


def column_of(texts: Iterable[str | None]) -> pa.Array:
    """Return the texts as an array, built in chunks likewise."""
    waiting = iter(texts)
    parts = [pa.array([], pa.string())]
    while part := list(islice(waiting, _ROWS_AT_ONCE)):
        parts.append(pa.array(part, pa.string()))
    return pa.concat_arrays(parts)


def _assembled(
    fields: Mapping[str, Column],
    numbers: Sequence[np.ndarray],
    code_row: np.ndarray,
    code: Column,
    used_at_s: np.ndarray,
    uses: np.ndarray,
) -> Accounts:
    """Return the accounts. numbers: created_at_s, born_at_s, unverified_email, unverified_phone."""
    created_at_s, born_at_s, unverified_email, unverified_phone = numbers
    use_lag_days = np.full(len(created_at_s), np.nan)
    np.fmin.at(use_lag_days, code_row, (used_at_s - created_at_s[code_row]) / _SECONDS_PER_DAY)
    # A use before the sign-up is a fault of clocks or files, and no evidence.
    use_lag_days[use_lag_days < 0] = np.nan
    return Accounts(
        fields=fields,
        created_at_s=created_at_s,
        born_at_s=born_at_s,
        unverified_email=unverified_email,
        unverified_phone=unverified_phone,
        age_years=(created_at_s - born_at_s) / (365.25 * _SECONDS_PER_DAY),
        use_lag_days=use_lag_days,
        uses=np.bincount(code_row, uses, minlength=len(created_at_s)),
        code_start=np.searchsorted(code_row, np.arange(len(created_at_s) + 1)),
        code=code,
    )


def _column(table: pd.DataFrame | pa.Table, name: str) -> pa.ChunkedArray | pa.Array:
    if isinstance(table, pd.DataFrame):
        return pa.nulls(len(table)) if name not in table else pa.array(table[name], from_pandas=True)
    return table[name] if name in table.column_names else pa.nulls(len(table))


def _trimmed(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    text = pc.utf8_trim_whitespace(pc.utf8_slice_codeunits(column.cast(pa.string()), 0, LONGEST_TEXT))
    return pc.if_else(pc.equal(text, ""), None, text)


def _seconds(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    return pc.divide(column.cast(pa.timestamp("us")).cast(pa.int64()).cast(pa.float64(), safe=False), 1e6)


def _unverified(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """Return 1 where the flag is false, 0 where it is true, null where it is unknown."""
    if not pa.types.is_boolean(column.type):
        text = pc.utf8_lower(column.cast(pa.string()))
        column = pc.if_else(pc.equal(text, "true"), True, pc.if_else(pc.equal(text, "false"), False, None))
    return pc.invert(column).cast(pa.float64())


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    return column.cast(pa.float64()).to_numpy().copy()


def code_of(text: str) -> str:
    """Return a code as `contract.as_code` reads it: full-width characters plain, no zero-width ones, single blanks."""
    visible = "".join(letter for letter in text.translate(_PLAIN) if unicodedata.category(letter) != "Cf")
    return " ".join(visible.split()) or text


_PLAIN = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)}


def _text(value: object) -> str | None:
    if value is None or isinstance(value, (dict, list)):
        return None
    # No file or database can store half a surrogate pair.
    text = str(value).encode(errors="replace").decode()[:LONGEST_TEXT].strip()
    return text or None


def _flag(value: object) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    return bool(value) if isinstance(value, (bool, np.bool_)) else None


def _unverified_of(is_verified: bool | None) -> float:
    return math.nan if is_verified is None else float(not is_verified)


def _time(value: object) -> dt.datetime | None:
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if isinstance(value, dt.datetime):
        return None if value is pd.NaT else value
    return dt.datetime(value.year, value.month, value.day) if isinstance(value, dt.date) else None


def _unix_seconds(at: dt.datetime | None) -> float:
    """Return Unix seconds, NaN if the time is unknown."""
    if at is None:
        return math.nan
    return (at if at.tzinfo else at.replace(tzinfo=dt.UTC)).timestamp()


def _born_at_seconds(dob: dt.date | None) -> float:
    return math.nan if dob is None else float((dob - dt.date(1970, 1, 1)).days * _SECONDS_PER_DAY)
