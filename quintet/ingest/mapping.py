"""How files that do not fit their contract are read: titles of columns and spellings that a person has mapped."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import duckdb

from quintet.warehouse.sql import quote_identifier, quote_literal

MOST_QUOTED = 80
"""Characters of a text that the reason of a quarantined row quotes; of a longer one, the rest is unknown."""


def shape_of(folded: Iterable[str]) -> str:
    """Return the shape of a header: equal for files with the same columns, in any order. folded: by `fold_header`."""
    return hashlib.blake2s("\0".join(sorted(folded)).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class FileMapping:
    """What is mapped in the files of a dataset.

    columns: by shape of the header, the contract's column by folded title. spellings: by the contract's column, its
    known value by spelling; blanks around a spelling and its case do not count.
    """

    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    spellings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """A text that changes with the content; empty without any."""
        content = [{name: dict(one) for name, one in part.items() if one} for part in (self.columns, self.spellings)]
        if not any(content):
            return ""
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Used:
    """The part of a mapping that reading a file has used.

    columns: by title. spellings: by column and spelling. shape: of the file's header, if columns were used.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    spellings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    shape: str = ""

    def to_json(self) -> str | None:
        """Return it as JSON for `ops.batches`; None if nothing was used."""
        if not self.columns and not self.spellings:
            return None
        spellings = {name: dict(one) for name, one in self.spellings.items()}
        content = {"columns": dict(self.columns), "spellings": spellings, "shape": self.shape}
        return json.dumps(content, ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Used:
        """Return what `to_json` wrote."""
        return cls(**json.loads(text))

    def sentences(self) -> list[str]:
        """Return it in words: `'total' is read as count`."""
        found = [f"'{title}' is read as {column}" for title, column in self.columns.items()]
        return found + [
            f"'{spelling}' in {column} is read as {known}"
            for column, known_by in self.spellings.items()
            for spelling, known in known_by.items()
        ]


def quoted_sql(reason: str, column: str) -> str:
    """Return SQL of the text that a reason quotes as no known value of a column; empty for none, or a cut one.

    reason: SQL of the reason of a quarantined row, which may go on with others.
    """
    pattern = rf"(?s)(?:^|; ){re.escape(column)} must be [^']*, not '(.*?)'(?:$|; )"
    text = f"regexp_extract({reason}, {quote_literal(pattern)}, 1)"
    return f"if(length({text}) < {MOST_QUOTED}, {text}, '')"


def spellings_sql(spellings: Mapping[str, Mapping[str, str]], present: Sequence[str], rows: str) -> str:
    """Return SQL of `rows`, SQL of a relation, with the mapped spellings of its columns replaced by known values."""
    replaced = [
        f"case {' '.join(_when(column, one, quote_literal(known)) for one, known in known_by.items())} "
        f"else {quote_identifier(column)} end as {quote_identifier(column)}"
        for column, known_by in spellings.items()
        if column in present and known_by
    ]
    return f"(select * replace ({', '.join(replaced)}) from {rows} as unmapped)" if replaced else rows


def used_spellings(
    connection: duckdb.DuckDBPyConnection,
    spellings: Mapping[str, Mapping[str, str]],
    present: Sequence[str],
    rows: str,
) -> dict[str, dict[str, dict[str, str]]]:
    """Return which mapped spellings the rows have: by batch and column, the known value by spelling."""
    used: dict[str, dict[str, dict[str, str]]] = {}
    for column, known_by in spellings.items():
        if column not in present or not known_by:
            continue
        cases = " ".join(_when(column, one, quote_literal(one)) for one in known_by)
        for batch_id, spelling in connection.execute(
            f"select distinct batch_id, case {cases} end as spelling from {rows} as unmapped "
            "where spelling is not null order by all"
        ).fetchall():
            used.setdefault(batch_id, {}).setdefault(column, {})[spelling] = known_by[spelling]
    return used


def _when(column: str, spelling: str, then: str) -> str:
    return f"when lower(trim({quote_identifier(column)})) = lower(trim({quote_literal(spelling)})) then {then}"
