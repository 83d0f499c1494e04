"""A dump becomes statements however it is cut into pieces; what is cut off or no dump is refused, and psql's
commands are not run.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quintet.lending.dump import DumpError, open_dump, statements

_TEXT = rb"""-- PostgreSQL database dump
\restrict abc
SET x = 1;;
/* a /* nested ; */ ' */
create table "a;b" (c text default 'x;''y' , d text default E'it\'s;');
create function f() returns int as $fn$ begin; ' " $x$ ; end $fn$ language sql;
select a$b$c, $1 from t;
--
-- Data for Name: user
--

COPY public."user" (id) FROM stdin;
1	a;'b
2	\\.
\.

COPY public.loan (id) FROM stdin;
\.
insert into t values (1,'-- no comment'), (2, E'\\');
\unrestrict abc
"""
_STATEMENTS = [
    (b"SET x = 1", None),
    (rb"""create table "a;b" (c text default 'x;''y' , d text default E'it\'s;')""", None),
    (b"""create function f() returns int as $fn$ begin; ' " $x$ ; end $fn$ language sql""", None),
    (b"select a$b$c, $1 from t", None),
    (b'COPY public."user" (id) FROM stdin', b"1\ta;'b\n2\t\\\\.\n"),
    (b"COPY public.loan (id) FROM stdin", b""),
    (b"insert into t values (1,'-- no comment'), (2, E'\\\\')", None),
]


def _pieces(text: bytes, size: int) -> Iterator[bytes]:
    return (text[start : start + size] for start in range(0, len(text), size))


def _read(pieces: Iterator[bytes]) -> list[tuple[bytes, bytes | None]]:
    return [(one.sql.strip(), None if one.data is None else b"".join(one.data)) for one in statements(pieces)]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 29, 64, 10_000])
def test_the_statements_are_the_same_however_the_text_arrives(size: int) -> None:
    assert _read(_pieces(_TEXT, size)) == _STATEMENTS


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 80), min_size=1, max_size=30))
def test_the_split_into_pieces_does_not_change_the_statements(sizes: list[int]) -> None:
    pieces, start = [], 0
    for size in sizes:
        pieces.append(_TEXT[start : start + size])
        start += size
    assert _read(iter([*pieces, _TEXT[start:]])) == _STATEMENTS


def test_data_that_is_not_read_is_skipped() -> None:
    assert [one.sql.strip() for one in statements(_pieces(_TEXT, 9))] == [sql for sql, _ in _STATEMENTS]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (b"select 1; select 2", "within a statement"),
        (b"select 'a;\nb", "within a quotation"),
        (b"select $x$ a; $y$", "within a quotation"),
        (b"/* a; /* b */", "within a comment"),
        (b"copy t from stdin;\n1\n2\n", "within the data"),
        (b"copy t from stdin;", "before the data"),
    ],
)
def test_text_that_is_cut_off_is_refused(text: bytes, where: str) -> None:
    with pytest.raises(DumpError, match=f"cut off {where}"):
        _read(_pieces(text, 4))


@pytest.mark.parametrize("command", [b"\\! touch x", b"\\copy t from program 'id'", b"\\i /etc/passwd", b"\\gexec"])
@pytest.mark.parametrize("before", [b"", b"select 1 ", b"select 1;\n"])
def test_commands_of_psql_are_refused(command: bytes, before: bytes) -> None:
    with pytest.raises(DumpError, match="command of psql"):
        _read(iter([before + command + b"\n"]))


def test_a_dump_of_several_databases_is_refused() -> None:
    with pytest.raises(DumpError, match="another database"):
        _read(iter([b"create database x;\n\\connect x\n"]))


def _open(path: Path) -> bytes:
    with open_dump(path, lambda _: None) as pieces:
        return b"".join(pieces)


def test_a_packed_dump_is_read_like_a_plain_one(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.sql", tmp_path / "a.sql.gz"
    plain.write_bytes(b"select 1;\n")
    packed.write_bytes(gzip.compress(b"select 1;\n"))
    assert _open(plain) == _open(packed) == b"select 1;\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (gzip.compress(b"select 1;\n" * 1000, mtime=0)[:-20], "cut off or damaged"),
        (b"PGDMP and no more", "cut off or damaged"),
        (b"select 1;\0", "not SQL text"),
        (b"--\n-- PostgreSQL database dump\n--\nselect 1;\n", "last line that pg_dump writes is missing"),
    ],
)
def test_an_incomplete_dump_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "book.dump"
    file.write_bytes(content)
    with pytest.raises(DumpError, match=message):
        _open(file)


def test_a_statement_of_any_length_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quintet.lending.dump._LONGEST_STATEMENT_BYTES", 1000)
    with pytest.raises(DumpError, match="longer than"):
        _read(_pieces(b"select '" + b"x" * 5000 + b"';", 100))
