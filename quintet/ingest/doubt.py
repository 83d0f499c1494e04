"""Find numbers that a reader may take for another: 1.250 is 1250 where a comma marks the decimals.

A contract reads a point as the decimal mark. Whether a file agrees is decided for each of its columns from all of the
column's texts, because a single text cannot say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import duckdb

from quintet.warehouse.sql import quote_identifier, quote_literal

_MAY_BE_THOUSANDS = r"\s*[+-]?[1-9]\d{0,2}\.\d{3}\s*"
_COMMA_DECIMALS = r"\s*[+-]?(\d+,\d+|\d{1,3}([. '’\x{a0}\x{202f}]\d{3})+,\d+|\d{1,3}(\.\d{3}){2,})\s*"
_POINT_DECIMALS = (
    r"\s*[+-]?(\d*\.\d{1,2}|\d*\.\d{4,}|0*\.\d+|\d{4,}\.\d*|\d+\.\d*[eE][+-]?\d+"
    r"|\d{1,3}([, '’\x{a0}\x{202f}]\d{3})+\.\d+)\s*"
)
_WITHOUT_THOUSANDS_MARK = r"\s*[+-]?\d{4,}\s*"


@dataclass(frozen=True)
class Doubts:
    """The doubtful columns of some batches.

    refused: the columns of a batch whose doubtful numbers are quarantined; believed: those that are read with a point,
        because nothing speaks against it. rounded: by batch, the amounts of money that lose decimals, in words.
    """

    refused: dict[str, list[str]]
    believed: dict[str, list[str]]
    rounded: dict[str, str] = field(default_factory=dict)

    def conditions(self) -> list[tuple[str, str]]:
        """Return pairs of (SQL condition that is true for a doubtful row, SQL text of the reason)."""
        pairs = []
        for batch_id, columns in self.refused.items():
            for column in columns:
                name = quote_identifier(column)
                condition = f"batch_id = {quote_literal(batch_id)} and {_matches(name, _MAY_BE_THOUSANDS)}"
                reason = (
                    f"{quote_literal(f'{column} is ' + chr(39))} || trim({name}) || ''' in a file that seems to mark "
                    f"decimals with a comma: ' || trim({name}) || ' may be ' || replace(trim({name}), '.', '') || "
                    "'. Save the file with decimal points and without thousands separators'"
                )
                pairs.append((condition, reason))
        return pairs

    def remark(self, batch_id: str) -> str | None:
        """Return what to check in a batch: numbers read with a decimal point, and amounts that were rounded."""
        remarks = [self.rounded[batch_id]] if batch_id in self.rounded else []
        if columns := self.believed.get(batch_id):
            remarks.append(
                f"every number with decimals in {', '.join(columns)} is like 1.250; "
                "read with a decimal point, not as 1250"
            )
        return "; ".join(remarks) or None


def may_be_thousands(text: str) -> bool:
    """Return whether a number may have a thousands separator where a contract reads a decimal point."""
    return re.fullmatch(_MAY_BE_THOUSANDS, text) is not None


def two_readings(text: str) -> str:
    """Return the two numbers that such a text may be; completes "<text> …"."""
    return f"may be {text.strip()} or {text.strip().replace('.', '')}"


def find_doubts(
    connection: duckdb.DuckDBPyConnection, staged: str, columns: Sequence[str], *, separated_by_semicolons: bool
) -> Doubts:
    """Return the doubtful columns among `columns`, the contract's numbers in the rows of `staged`.

    In a column with a number such as 1.250, another number of the column decides; else one of another column; else the
    delimiter: a spreadsheet writes semicolons where the comma is the decimal mark.
    """
    none = Doubts({}, {})
    if not columns:
        return none
    # the cheap condition first: in most files no number has three decimals
    suspects = ", ".join(
        f"coalesce(bool_or(case when contains({name}, '.') and rtrim({name})[-4] = '.' "
        f"then {_matches(name, _MAY_BE_THOUSANDS)} end), false)"
        for name in map(quote_identifier, columns)
    )
    found = connection.execute(f"select batch_id, {suspects} from {staged} group by batch_id").fetchall()
    doubtful = {batch: [one for one, is_so in zip(columns, rest, strict=True) if is_so] for batch, *rest in found}
    doubtful = {batch: names for batch, names in doubtful.items() if names}
    if not doubtful:
        return none
    patterns = (_COMMA_DECIMALS, _POINT_DECIMALS, _WITHOUT_THOUSANDS_MARK)
    signs = ", ".join(
        f"coalesce(bool_or({_matches(quote_identifier(name), pattern)}), false)"
        for name in columns
        for pattern in patterns
    )
    batches = ", ".join(map(quote_literal, doubtful))
    refused: dict[str, list[str]] = {}
    believed: dict[str, list[str]] = {}
    for batch, *flat in connection.execute(
        f"select batch_id, {signs} from {staged} where batch_id in ({batches}) group by batch_id"
    ).fetchall():
        by_column = {name: flat[3 * place : 3 * place + 3] for place, name in enumerate(columns)}
        for name in doubtful[batch]:
            has_comma, has_point, has_long = by_column[name]
            if not has_comma and (has_point or has_long):
                continue
            elsewhere_comma = any(comma for comma, _, _ in by_column.values())
            elsewhere_point = any(point for _, point, _ in by_column.values())
            if has_comma or elsewhere_comma or (separated_by_semicolons and not elsewhere_point):
                refused.setdefault(batch, []).append(name)
            elif not elsewhere_point:
                believed.setdefault(batch, []).append(name)
    return Doubts(refused, believed)


def rounded_amounts(connection: duckdb.DuckDBPyConnection, staged: str, columns: Sequence[str]) -> dict[str, str]:
    """Return in words, by batch, how many amounts in the columns of money lose decimals; only of batches with some."""
    found: dict[str, str] = {}
    for column in columns:
        name = quote_identifier(column)
        # the cheap condition first: hardly any amount is so long
        is_long = f"(strlen(split_part({name}, '.', 2)) > 4 or contains(lower({name}), 'e'))"
        for batch_id, count, example in connection.execute(
            f"select batch_id, count(*), min_by({name}, source_row) from {staged} "
            f"where {is_long} and contract.is_rounded({name}) group by batch_id order by batch_id"
        ).fetchall():
            words = f"{count:,} amounts in {column} with more than four decimals are rounded, such as {example}"
            found[batch_id] = f"{found[batch_id]}; {words}" if batch_id in found else words
    return found


def _matches(name: str, pattern: str) -> str:
    return f"regexp_full_match({name}, {quote_literal(pattern)})"
