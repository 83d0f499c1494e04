"""Values of columns: both forms of PostgreSQL decode to the same value, and what JSON lacks stays readable."""

from __future__ import annotations

import datetime as dt
import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.replication.values import (
    UNCHECKED_UTF8,
    Column,
    UnknownTypeError,
    as_readable,
    binary_decoder,
    day_text,
    decoders,
    text_decoder,
    timestamp_text,
)

_EPOCH = dt.datetime(2000, 1, 1)
_MICROSECOND = dt.timedelta(microseconds=1)
INTEGER, REAL, DOUBLE, DAY, TIMESTAMP, TIMESTAMP_TZ, NUMERIC, PADDED, JSONB = (
    *(23, 700, 701, 1082, 1114, 1184, 1700, 1042, 3802),
)


def decoded(type_number: int, binary: bytes, text: str) -> tuple[object, object]:
    """Return the value of the binary form and of the text form."""
    ((_, from_binary, from_text),) = decoders((Column("x", type_number, -1, is_key=False),), binary=True)
    return from_binary(binary), from_text(text.encode())


def numeric(value: Decimal) -> bytes:
    """Return PostgreSQL's binary form of a finite number: groups of four decimal digits."""
    scale = max(-int(value.as_tuple().exponent), 0)
    whole, _, fraction = f"{abs(value):f}".partition(".")
    whole = whole.rjust(-(-len(whole) // 4) * 4, "0")
    digits = whole + fraction.ljust(-(-len(fraction) // 4) * 4, "0")
    groups = [int(digits[place : place + 4]) for place in range(0, len(digits), 4)]
    head = struct.pack("!HhHH", len(groups), len(whole) // 4 - 1, 0x4000 if value < 0 else 0, scale)
    return head + struct.pack(f"!{len(groups)}H", *groups)


@given(st.datetimes())
def test_every_time_has_one_value_in_both_forms(moment: dt.datetime) -> None:
    binary = struct.pack("!q", (moment - _EPOCH) // _MICROSECOND)
    text = moment.isoformat(" ")

    assert decoded(TIMESTAMP, binary, text) == (moment.isoformat(timespec="microseconds"),) * 2
    assert decoded(TIMESTAMP_TZ, binary, text + "+00") == (moment.isoformat(timespec="microseconds") + "Z",) * 2


@given(st.dates())
def test_every_day_has_one_value_in_both_forms(day: dt.date) -> None:
    binary = struct.pack("!i", (day - _EPOCH.date()).days)

    assert decoded(DAY, binary, day.isoformat()) == (day.isoformat(), day.isoformat())


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12))
def test_every_number_keeps_all_its_decimals(value: Decimal) -> None:
    found, from_text = decoded(NUMERIC, numeric(value), f"{value:f}")

    assert Decimal(str(found)) == Decimal(str(from_text)) == value
    assert str(found).partition(".")[2] == f"{value:f}".partition(".")[2]


@given(st.floats(width=32))
def test_a_real_is_the_same_double_in_both_forms(value: float) -> None:
    from_binary, from_text = decoded(REAL, struct.pack("!f", value), f"{value:.9g}")

    assert from_binary == from_text
    assert isinstance(from_binary, str) == (value - value != 0), "JSON has no NaN and no infinity"


@pytest.mark.parametrize(
    ("type_number", "binary", "expected"),
    [
        (DAY, struct.pack("!i", 2**31 - 1), "infinity"),
        (DAY, struct.pack("!i", -(2**31)), "-infinity"),
        (DAY, struct.pack("!i", 2_921_940), "2000-01-01 +2921940 days"),
        (TIMESTAMP, struct.pack("!q", 2**63 - 1), "infinity"),
        (TIMESTAMP_TZ, struct.pack("!q", -(2**63)), "-infinity"),
        (TIMESTAMP, struct.pack("!q", 2**58), f"2000-01-01 +{2**58} microseconds"),
        (NUMERIC, struct.pack("!HhHH", 0, 0, 0xC000, 0), "NaN"),
        (NUMERIC, struct.pack("!HhHH", 0, 0, 0xF000, 0), "-Infinity"),
        (NUMERIC, struct.pack("!HhHH", 0, 0, 0, 2), "0.00"),
        (DOUBLE, struct.pack("!d", float("inf")), "inf"),
        (PADDED, b"ab  ", "ab"),
        (JSONB, b'\x01{"a": 1}', '{"a": 1}'),
    ],
)
def test_what_json_or_iso_text_lack_stays_readable(type_number: int, binary: bytes, expected: str) -> None:
    decode = binary_decoder(type_number, text_decoder("utf-8"))
    assert decode is not None
    assert decode(binary) == expected


def test_a_column_of_an_unknown_type_is_named_and_can_be_read_as_text() -> None:
    place = Column("place", 600, -1, is_key=False)

    with pytest.raises(UnknownTypeError, match="column place has type 600"):
        decoders((place,), binary=True)
    ((name, _, from_text),) = decoders((as_readable(place),), binary=True)
    assert (name, from_text(b"(1,2)")) == ("place", "(1,2)")
    known = Column("amount", INTEGER, -1, is_key=False)
    assert as_readable(known) is known


def test_characters_that_the_database_did_not_check_do_not_stop_the_stream() -> None:
    assert text_decoder(UNCHECKED_UTF8)(b"caf\xe9") == "caf\N{REPLACEMENT CHARACTER}"
    with pytest.raises(UnicodeDecodeError):
        text_decoder("utf-8")(b"caf\xe9")


def test_days_and_moments_before_the_epoch_have_their_own_texts() -> None:
    assert day_text(-1) == "1999-12-31"
    assert timestamp_text(-1) == "1999-12-31T23:59:59.999999Z"
