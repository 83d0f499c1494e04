"""The row reader and the loop read every row alike; the reader returns None for forms that it does not support."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from quintet.replication.row_reader import read_tuple, row_reader
from quintet.replication.values import Column, decoders

_LAYOUTS = {20: "!q", 21: "!h", 23: "!i", 701: "!d", 1082: "!i"}
_VALUES = {
    20: st.integers(-(2**63), 2**63 - 1),
    21: st.integers(-(2**15), 2**15 - 1),
    23: st.integers(-(2**31), 2**31 - 1),
    701: st.floats(),
    1082: st.integers(-800_000, 3_000_000),
}


@st.composite
def _cells(draw: st.DrawFn) -> tuple[int, bytes, bool]:
    """A column's type, its cell as pgoutput sends it, and whether the reader supports it."""
    kind = draw(st.sampled_from([*_LAYOUTS, 1043]))
    form = draw(st.sampled_from("bbbbbnu"))
    if form in "nu":
        return kind, form.encode(), form == "n"
    if kind == 1043:
        content = draw(st.text()).encode()
        return kind, b"b" + struct.pack("!i", len(content)) + content, True
    value = draw(_VALUES[kind])
    content = struct.pack(_LAYOUTS[kind], value)
    return kind, b"b" + struct.pack("!i", len(content)) + content, value - value == 0


@given(st.lists(_cells(), min_size=1, max_size=6))
def test_both_read_a_row_alike(cells: list[tuple[int, bytes, bool]]) -> None:
    columns = tuple(Column(f'c"{number}\\', kind, -1, False) for number, (kind, _, _) in enumerate(cells))
    data = b"N" + struct.pack("!H", len(cells)) + b"".join(cell for _, cell, _ in cells)
    slow, unchanged, end = read_tuple(data, 1, decoders(columns, binary=True))
    fast = row_reader(columns)(data, 1)
    assert end == len(data)
    if all(is_known for _, _, is_known in cells):
        assert fast == slow
        assert unchanged == []
    else:
        assert fast is None
