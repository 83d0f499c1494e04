"""Contracts of datasets, and the checks of text against them.

A contract is a pandera schema over the *text* of a file. Each of its checks is one SQL predicate: the loader compiles
the predicates of a dataset into a single statement, and `Dataset.schema.validate(frame, lazy=True)` runs the same
predicates on a pandas frame, so that notebook and loader always agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files

import duckdb
import numpy as np
import pandas as pd
import pandera.pandas as pa

from quintet.ingest.mapping import MOST_QUOTED, FileMapping, shape_of
from quintet.warehouse.connect import connect_closed
from quintet.warehouse.sql import quote_identifier, quote_literal

_SHORTENED = " (shortened by a spreadsheet or a float column, its last digits may be lost: store the column as text)"


@cache
def parsing_macros() -> str:
    """Return the SQL script that creates the `contract.as_*` macros."""
    return files("quintet.ingest").joinpath("parsing.sql").read_text("utf-8")


@cache
def _judge() -> duckdb.DuckDBPyConnection:
    connection = connect_closed()
    connection.execute(parsing_macros())
    return connection


def _verdicts(values: pd.Series, predicate: str) -> pd.Series:
    """Return whether each text of `values` satisfies `predicate`, SQL over the placeholder `{column}`."""
    cursor = _judge().cursor()
    cursor.register("judged", pd.DataFrame({"value": values.astype("str").to_numpy()}))
    verdicts = cursor.execute(
        f"select coalesce({predicate.replace('{column}', 'value')}, false) as holds from judged"
    ).fetchnumpy()["holds"]
    return pd.Series(verdicts, index=values.index)


def read_values(texts: pd.DataFrame, expressions: Mapping[str, str]) -> pd.DataFrame:
    """Return one column for each SQL expression over the columns of `texts`, in the same order of rows.

    An expression reads text as the contract does: `contract.as_money(amount)::double`. Whole numbers
    are Int64, other numbers Float64, texts str, each with null for null.
    """
    cursor = _judge().cursor()
    cursor.register("texts", texts.astype("str"))
    selected = ", ".join(f"{sql} as {quote_identifier(name)}" for name, sql in expressions.items())
    columns = cursor.execute(f"select {selected} from texts").fetchnumpy()
    read = {}
    for name, values in columns.items():
        kind = {"i": "Int64", "f": "Float64"}.get(values.dtype.kind, "str")
        missing = np.ma.getmaskarray(np.ma.asarray(values))
        read[name] = pd.Series(np.ma.getdata(values), index=texts.index, dtype=kind).mask(missing)
    return pd.DataFrame(read, index=texts.index)


def without_missing(texts: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """Return `texts` with null for each text of some columns that stands for a missing value, such as NA."""
    cursor = _judge().cursor()
    cursor.register("texts", texts.astype("str"))
    columns = {name: quote_identifier(name) for name in names}
    selected = ", ".join(f"coalesce(contract.is_missing({column}), false) as {column}" for column in columns.values())
    missing = cursor.execute(f"select {selected} from texts").fetchnumpy()
    return texts.assign(**{name: texts[name].mask(np.asarray(missing[name], dtype="bool")) for name in columns})


def _check(predicate: str, requirement: str, *, nullable: bool = False) -> pa.Check:
    """Return a pandera check from an SQL predicate over `{column}`; `requirement` completes "<column> must be …".

    nullable: whether a text such as NA, which stands for a missing value, is accepted too.
    """
    if nullable:
        predicate = f"({predicate} or contract.is_missing({{column}}))"
    return pa.Check(
        lambda values: _verdicts(values, predicate),
        name=requirement,
        error=requirement,
        statistics={"predicate": predicate},
    )


def _column(
    check: pa.Check | None,
    description: str,
    *,
    nullable: bool,
    required: bool,
    aliases: Sequence[str],
    kind: str = "",
    is_money: bool = False,
    values: Sequence[str] = (),
) -> pa.Column:
    return pa.Column(
        "str",
        checks=[] if check is None else [check],
        nullable=nullable,
        required=required,
        description=description,
        metadata={"aliases": tuple(aliases), "kind": kind, "is_money": is_money, "values": tuple(values)},
    )


def _bounds(value: str, minimum: float | str | None, maximum: float | str | None) -> tuple[str, str]:
    """Return the SQL and the wording of an interval with inclusive bounds; None leaves an end open."""

    def literal(bound: float | str) -> str:
        return quote_literal(bound) if isinstance(bound, str) else repr(bound)

    if minimum is not None and maximum is not None:
        return f"{value} between {literal(minimum)} and {literal(maximum)}", f" from {minimum} to {maximum}"
    if minimum is not None:
        return f"{value} >= {literal(minimum)}", f" of at least {minimum}"
    if maximum is not None:
        return f"{value} <= {literal(maximum)}", f" of at most {maximum}"
    return f"{value} is not null", ""


def integer(
    description: str,
    minimum: int | None = None,
    maximum: int | None = None,
    *,
    nullable: bool = False,
    required: bool = True,
    aliases: Sequence[str] = (),
) -> pa.Column:
    """Return a column of whole numbers; "5.0" counts as one, 5E+11 does not: its last digits may be lost."""
    predicate, words = _bounds("contract.as_integer({column})", minimum, maximum)
    check = _check(predicate, f"a whole number{words}", nullable=nullable)
    return _column(check, description, nullable=nullable, required=required, aliases=aliases, kind="integer")


def identifier(
    description: str, *, nullable: bool = False, required: bool = True, aliases: Sequence[str] = ()
) -> pa.Column:
    """Return a column of keys: text that is no number which a spreadsheet shortened.

    A required one also has a visible character and no control characters.
    """
    predicate = "not contract.is_shortened_id({column})" if nullable else "contract.is_identifier({column})"
    check = _check(predicate, "an identifier")
    return _column(check, description, nullable=nullable, required=required, aliases=aliases, kind="identifier")


def unix_seconds(
    description: str,
    minimum: int,
    maximum: int,
    *,
    nullable: bool = False,
    required: bool = True,
    aliases: Sequence[str] = (),
) -> pa.Column:
    """Return a column of times as Unix seconds, or as ISO 8601 dates and times in UTC unless they have an offset."""
    predicate, words = _bounds("contract.as_unix_seconds({column})", minimum, maximum)
    check = _check(
        predicate, f"Unix seconds{words}, or a date and time like 2024-05-01 13:45:00 in that range", nullable=nullable
    )
    return _column(check, description, nullable=nullable, required=required, aliases=aliases, kind="unix_seconds")


def number(
    description: str,
    minimum: float | None = None,
    maximum: float | None = None,
    *,
    missing: Sequence[str] = (),
    is_money: bool = False,
    nullable: bool = False,
    required: bool = True,
    aliases: Sequence[str] = (),
) -> pa.Column:
    """Return a column of finite numbers with a decimal point.

    missing: texts that are accepted as unknown. is_money: whether models round it to four decimals (`as_money`); a
    file with more of them is loaded with a remark.
    """
    predicate, words = _bounds("contract.as_number({column})", minimum, maximum)
    if missing:
        predicate = f"({predicate} or {{column}} in ({', '.join(map(quote_literal, missing))}))"
    check = _check(predicate, f"a number{words} (a point for decimals, no thousands separator)", nullable=nullable)
    return _column(
        check, description, nullable=nullable, required=required, aliases=aliases, kind="number", is_money=is_money
    )


def boolean(
    description: str, *, nullable: bool = False, required: bool = True, aliases: Sequence[str] = ()
) -> pa.Column:
    """Return a column of TRUE or FALSE, in any case, or 1 or 0."""
    check = _check("contract.as_boolean({column}) is not null", "true or false", nullable=nullable)
    return _column(check, description, nullable=nullable, required=required, aliases=aliases, values=("TRUE", "FALSE"))


def timestamp(
    description: str,
    first_year: int = 1900,
    last_year: int = 2199,
    *,
    nullable: bool = False,
    required: bool = True,
    aliases: Sequence[str] = (),
) -> pa.Column:
    """Return a column of ISO 8601 dates and times from first_year to last_year, in UTC unless they have an offset."""
    check = _check(
        f"year(contract.as_timestamp({{column}})) between {first_year} and {last_year}",
        f"a real date and time like 2024-05-01 13:45:00 ({first_year} to {last_year})",
        nullable=nullable,
    )
    return _column(check, description, nullable=nullable, required=required, aliases=aliases)


def date(description: str, *, nullable: bool = False, required: bool = True, aliases: Sequence[str] = ()) -> pa.Column:
    """Return a column of ISO 8601 calendar days."""
    check = _check(
        "contract.as_date({column}) is not null", "a real date like 2024-05-01 (1900 to 2199)", nullable=nullable
    )
    return _column(check, description, nullable=nullable, required=required, aliases=aliases)


def minute_of_day(
    description: str, *, nullable: bool = False, required: bool = True, aliases: Sequence[str] = ()
) -> pa.Column:
    """Return a column of minutes of the day, such as "15h 07" or "15:07"."""
    check = _check(
        "contract.as_minute_of_day({column}) is not null",
        "a minute of the day like '15h 07' (00h 00 to 23h 59)",
        nullable=nullable,
    )
    return _column(check, description, nullable=nullable, required=required, aliases=aliases)


def hour(description: str, *, nullable: bool = False, required: bool = True, aliases: Sequence[str] = ()) -> pa.Column:
    """Return a column of hours of the day, such as "08h"."""
    check = _check(
        "contract.as_hour({column}) is not null", "an hour of the day like '08h' (00h to 23h)", nullable=nullable
    )
    return _column(check, description, nullable=nullable, required=required, aliases=aliases)


def one_of(
    description: str,
    values: Sequence[str],
    *,
    nullable: bool = False,
    required: bool = True,
    aliases: Sequence[str] = (),
) -> pa.Column:
    """Return a column of codes from a closed list of capitals; blanks around a code and its case do not count."""
    listed = ", ".join(map(quote_literal, values))
    check = _check(f"contract.as_fixed_code({{column}}) in ({listed})", f"one of {', '.join(values)}")
    return _column(check, description, nullable=nullable, required=required, aliases=aliases, values=values)


def text(description: str, *, nullable: bool = False, required: bool = True, aliases: Sequence[str] = ()) -> pa.Column:
    """Return a column of any text, kept verbatim."""
    return _column(None, description, nullable=nullable, required=required, aliases=aliases)


@dataclass(frozen=True)
class Dataset:
    """One inbox: its contract and the key of its rows.

    name: the inbox folder and the table `raw.<name>`.
    schema: a strict pandera schema over text; columns in file order. Unknown columns are kept as JSON.
    key: the columns that identify a row across files; empty if only file and row number identify a row.
    one_of_groups: groups of optional columns; a file, and each of its rows, must have at least one of each group. Only
        the loader checks this; the schema cannot.
    day_from_name: whether rows without a date get their day from the file's name.
    persons: the columns with the id of a person, with the kind of person, such as `user`.
    mapping: what a person has mapped in files that do not fit.
    """

    name: str
    domain: str
    description: str
    schema: pa.DataFrameSchema
    key: tuple[str, ...] = ()
    one_of_groups: tuple[tuple[str, ...], ...] = ()
    day_from_name: bool = False
    persons: Mapping[str, str] = field(default_factory=dict)
    mapping: FileMapping = field(default_factory=FileMapping)

    @property
    def columns(self) -> tuple[str, ...]:
        """The contract's column names, in order."""
        return tuple(self.schema.columns)

    @cached_property
    def aliases(self) -> Mapping[str, str]:
        """The contract's column name by accepted header, folded."""
        names = {fold_header(column): column for column in self.columns}
        for column, declared in self.schema.columns.items():
            names |= {fold_header(alias): column for alias in (declared.metadata or {}).get("aliases", ())}
        return names

    def aliases_in(self, folded: Sequence[str]) -> Mapping[str, str]:
        """Return the contract's column name by folded title, for a header with these folded titles."""
        mapped = self.mapping.columns.get(shape_of(folded), {}) if self.mapping.columns else {}
        return {**self.aliases, **mapped} if mapped else self.aliases

    @cached_property
    def categories(self) -> Mapping[str, Sequence[str]]:
        """The known values of the columns that have a closed list of them."""
        found = {name: (column.metadata or {}).get("values", ()) for name, column in self.schema.columns.items()}
        return {name: values for name, values in found.items() if values}

    @cached_property
    def identifiers(self) -> frozenset[str]:
        """The columns of identifiers."""
        return frozenset(name for name in self.columns if _kind(self.schema.columns[name]) == "identifier")

    @cached_property
    def numbers(self) -> frozenset[str]:
        """The columns of numbers."""
        return frozenset(name for name in self.columns if _kind(self.schema.columns[name]) in ("integer", "number"))

    @cached_property
    def money(self) -> frozenset[str]:
        """The columns of money."""
        return frozenset(name for name in self.columns if (self.schema.columns[name].metadata or {}).get("is_money"))

    def breaches_sql(self, present: Sequence[str]) -> str:
        """Return an SQL expression for the reasons why a row breaks the contract; null if it does not.

        `present` names the contract's columns that the file has; an absent optional column is not checked. The reasons
        are joined by "; " and quote the offending text, cut at 80 characters.
        """
        reasons = [f"case when {condition} then {reason} end" for condition, reason in self._conditions(present)]
        if not reasons:
            return "cast(null as varchar)"
        return f"nullif(concat_ws('; ', {', '.join(reasons)}), '')"

    def broken_sql(self, present: Sequence[str] | None = None) -> str:
        """Return an SQL predicate that is true for a row that breaks the contract; it is cheaper than the reasons.

        Without `present`, the files are unknown: an empty optional column may have been absent from its file.
        """
        return " or ".join(f"({condition})" for condition, _ in self._conditions(present)) or "false"

    def _conditions(self, present: Sequence[str] | None) -> list[tuple[str, str]]:
        conditions = []
        for name in self.columns if present is None else present:
            column = self.schema.columns[name]
            conditions += _conditions(name, column, column.nullable or (present is None and not column.required))
        for group in self.one_of_groups:
            judged = group if present is None else [name for name in group if name in present]
            empty = " and ".join(f"coalesce(contract.is_missing({quote_identifier(name)}), true)" for name in judged)
            conditions.append(
                (empty or "true", quote_literal(f"{' and '.join(group)} are empty but one of them is required"))
            )
        return conditions


def _kind(column: pa.Column) -> str:
    return str((column.metadata or {}).get("kind", ""))


def _conditions(name: str, column: pa.Column, may_be_empty: bool) -> list[tuple[str, str]]:
    """Return pairs of (SQL condition that is true if the column breaks the contract, SQL text of the reason)."""
    identifier = quote_identifier(name)
    conditions = []
    if not may_be_empty:
        conditions.append((f"{identifier} is null", quote_literal(f"{name} is empty but is required")))
    for check in column.checks:
        predicate = check.statistics["predicate"].replace("{column}", identifier)
        quoted = f"'''' || left({identifier}, {MOST_QUOTED}) || ''''"
        wording = f"{quote_literal(f'{name} must be {check.error}, not ')} || {quoted}"
        if _kind(column) in ("integer", "identifier"):
            wording += f" || case when contract.is_shortened({identifier}) then {quote_literal(_SHORTENED)} else '' end"
        conditions.append((f"{identifier} is not null and not coalesce({predicate}, false)", wording))
    return conditions


def fold_header(header: str) -> str:
    """Return a header in the form for comparison: trimmed, lower-case, all but letters and digits replaced by `_`."""
    folded = "".join(character if character.isalnum() else "_" for character in header.strip().lower())
    return folded.strip("_")
