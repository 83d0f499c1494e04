"""Files as cases: those that could not be read, or lost rows, with what a person can map so that they are loaded."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import duckdb
import pandas as pd

from quintet.cases import file_mappings
from quintet.cases.file_mappings import Mapped
from quintet.cases.kind import CaseKind, Choice, Decided, Option, Sources, Subject, UnusableVerdictError
from quintet.cases.store import case_id_of
from quintet.forgotten import REASON as FORGOTTEN
from quintet.ingest.contract import Dataset, fold_header
from quintet.ingest.mapping import quoted_sql, shape_of
from quintet.presentation.wording import counted
from quintet.settings import Settings
from quintet.state.store import Connection

MAP, CLOSE = "map", "close"
KIND = "file"

_ROWS = "rows"
_BYTES_OF_A_ROW = 60
"""For a dataset of which no file was loaded yet."""

_MOST_SPELLINGS = 50
_MOST_VALUES = 100
_LEAST_ALIKE = 0.5
"""What a spelling and a value must have in common for the value to be suggested: a wrong one is overlooked."""

_UNREAD = """
    select dataset, batch_id, file, message, titles, round(bytes / coalesce((
        select sum(bytes) / nullif(sum(rows), 0) from marts.ops_batches as batch
        where batch.dataset = unread.dataset and status = 'loaded'
    ), ?))::bigint
    from marts.ops_unread_files as unread where list_contains(?, dataset) order by all
"""
_REJECTED = """
    select dataset, batch_id, file, message from marts.ops_batches as rejection
    where list_contains(?, dataset) and status = 'rejected' and not exists (
        from marts.ops_batches as later where later.status = 'loaded' and later.dataset = rejection.dataset
            and later.file = rejection.file and later.at >= rejection.at
    ) order by all
"""
_QUARANTINED = """
    select dataset, batch_id, file, count(*), min(reason) from marts.ops_rejected_rows
    where list_contains(?, dataset) and reason <> ? group by all order by all
"""


@dataclass(frozen=True)
class _Found:
    """A subject of a case. batch_id: of the file. is_of_rows: whether the file was loaded without some rows."""

    dataset: str
    batch_id: str
    is_of_rows: bool

    @property
    def subject_id(self) -> str:
        return " ".join([self.dataset, self.batch_id, *([_ROWS] if self.is_of_rows else [])])

    @classmethod
    def of(cls, subject_id: str) -> _Found:
        dataset, batch_id, *rest = subject_id.split(" ")
        return cls(dataset, batch_id, rest == [_ROWS])


def file_kind(
    domain: str, datasets: Sequence[Dataset], other_inboxes: Sequence[str], row_value: Callable[[Settings], float]
) -> CaseKind:
    """Return the kind of cases about the files of a business.

    other_inboxes: without a contract of columns; their files can only be closed. row_value: what a row that is not
    loaded costs, in currency.
    """
    by_name = {dataset.name: dataset for dataset in datasets}
    return CaseKind(
        domain=domain,
        name=KIND,
        what="file",
        group_what="files of the same shape",
        options=(
            Option(
                MAP,
                "Map and load",
                "The next build reads this file, and later ones of the same shape, with what you choose here.",
                "a",
                takes_choices=True,
            ),
            Option(
                CLOSE,
                "Leave out",
                "What was not loaded stays out. A mapping that was given here is taken back.",
                "r",
                needs_reason=True,
            ),
        ),
        in_build=partial(_in_build, domain, by_name, tuple(other_inboxes), row_value),
        act=_act,
        choices=partial(choices_of, by_name),
        evidence="quintet.web.cases.files",
        page="/pipeline",
    )


def _in_build(
    domain: str,
    datasets: Mapping[str, Dataset],
    other_inboxes: Sequence[str],
    row_value: Callable[[Settings], float],
    marts: duckdb.DuckDBPyConnection,
    sources: Sources,
) -> list[Subject]:
    """Return the files of the inboxes that could not be read, and those that were loaded without some rows."""
    taken_back, value = file_mappings.taken_back(sources.store), row_value(sources.settings)
    found = []
    for name, batch_id, file, message, titles, rows in marts.execute(
        _UNREAD, [_BYTES_OF_A_ROW, list(datasets)]
    ).fetchall():
        shape = shape_of(map(fold_header, titles)) if titles else ""
        subject_id = _Found(name, batch_id, is_of_rows=False).subject_id
        found.append(
            Subject(
                subject_id,
                f"{file} of {name} was not loaded",
                message,
                round(max(rows, 1) * value, 2),
                group_id=f"{name} {shape}" if shape else None,
                reopened_after=frozenset({MAP} if case_id_of(domain, KIND, subject_id) in taken_back else ()),
            )
        )
    found += [
        Subject(_Found(name, batch_id, is_of_rows=False).subject_id, f"{file} of {name} was not loaded", message, value)
        for name, batch_id, file, message in marts.execute(_REJECTED, [list(other_inboxes)]).fetchall()
    ]
    for name, batch_id, file, rows, reason in marts.execute(_QUARANTINED, [list(datasets), FORGOTTEN]).fetchall():
        subject_id = _Found(name, batch_id, is_of_rows=True).subject_id
        found.append(
            Subject(
                subject_id,
                f"{file} of {name} was loaded without {counted(rows, 'row')}",
                f"{counted(rows, 'row')} broke the contract, such as: {reason}.",
                round(rows * value, 2),
                reopened_after=frozenset({MAP} if case_id_of(domain, KIND, subject_id) in taken_back else ()),
            )
        )
    return found


def choices_of(datasets: Mapping[str, Dataset], marts: duckdb.DuckDBPyConnection, subject_id: str) -> list[Choice]:
    """Return what can be mapped in a file: titles to columns that its header lacks, or spellings of categories."""
    found = _Found.of(subject_id)
    dataset = datasets.get(found.dataset)
    if dataset is None:
        return []
    if found.is_of_rows:
        return _spellings(dataset, marts, found.batch_id)
    rows = marts.execute(
        "select titles, lacking, first_rows from marts.ops_unread_files where dataset = ? and batch_id = ?",
        [found.dataset, found.batch_id],
    ).fetchall()
    return _titles(dataset, *rows[0]) if rows and rows[0][0] else []


def _titles(
    dataset: Dataset, titles: Sequence[str], lacking: Sequence[str], first_rows: Sequence[Sequence[str]]
) -> list[Choice]:
    known = {dataset.aliases.get(fold_header(title)) for title in titles}
    unknown = {
        title: [row[place] for row in first_rows if place < len(row)]
        for place, title in enumerate(titles)
        if fold_header(title) and fold_header(title) not in dataset.aliases
    }
    if not unknown:
        return []
    groups = {column: group for group in lacking for column in group.split(" or ")}
    found = []
    taken: set[str] = set()
    for column in sorted((name for name in dataset.columns if name not in known), key=lambda name: name not in groups):
        likeness = _likeness(dataset, column, unknown)
        ranked = sorted(unknown, key=lambda title: (-likeness[title], title))
        free = [title for title in ranked if title not in taken]
        suggested = free[0] if column in groups and free else ""
        taken |= {suggested}
        group = groups.get(column, "")
        found.append(Choice(column, f"{column} is in", ranked[:_MOST_VALUES], suggested, group, is_exclusive=True))
    return found


def _likeness(dataset: Dataset, column: str, titles: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Return how likely each title stands for a column: by its letters, and by the share of its values that fit.

    titles: with the values below each. The contract is asked once for the values of all titles.
    """
    names = [name for name, of in dataset.aliases.items() if of == column]
    values = pd.DataFrame(
        [(title, value) for title, below in titles.items() for value in below if value],
        columns=["title", "value"],
        dtype="str",
    )
    fits = pd.Series(0.0, index=list(titles))
    checks = dataset.schema.columns[column].checks
    if len(values) and checks:
        holds = pd.concat([check(values["value"]).check_output for check in checks], axis=1).all(axis=1)
        fits = holds.groupby(values["title"]).mean().reindex(list(titles), fill_value=0.0)
    return {
        title: float(fits[title])
        + max(difflib.SequenceMatcher(None, fold_header(title), name).ratio() for name in names)
        for title in titles
    }


def _spellings(dataset: Dataset, marts: duckdb.DuckDBPyConnection, batch_id: str) -> list[Choice]:
    found = []
    for column, values in dataset.categories.items():
        quoted = quoted_sql("reason", column)
        spelled = marts.execute(
            f"select spelling, count(*) as rows from (select {quoted} as spelling "
            "from marts.ops_rejected_rows where dataset = ? and batch_id = ?) where trim(spelling) <> '' "
            "group by all order by rows desc, spelling limit ?",
            [dataset.name, batch_id, _MOST_SPELLINGS],
        ).fetchall()
        for spelling, rows in spelled:
            ranked = sorted(values, key=lambda value: (-_spelled_alike(spelling, value), value))
            label = f"'{spelling}' in {column} ({counted(rows, 'row')}) means"
            suggested = ranked[0] if _spelled_alike(spelling, ranked[0]) >= _LEAST_ALIKE else ""
            found.append(Choice(f"{column}={spelling}", label, ranked, suggested, "a spelling"))
    return found


def _spelled_alike(spelling: str, value: str) -> float:
    initials = "".join(word[0] for word in re.findall(r"\w+", spelling))
    pairs = ((spelling, value), (initials, value))
    return max(difflib.SequenceMatcher(None, one.lower(), other.lower()).ratio() for one, other in pairs)


def _act(connection: Connection, given: Decided) -> None:
    """Record what is mapped, or take back what this case has mapped before."""
    found = _Found.of(given.subject_id)
    before = file_mappings.of_case(connection, given.case_id)
    by = given.decided_at, given.decided_by
    if before:
        file_mappings.record(connection, given.case_id, before, *by, is_active=False)
    if given.verdict == MAP:
        mapped = _mapped(found, given.group_id, given.choices)
        file_mappings.record(connection, given.case_id, mapped, *by, is_active=True)


def _mapped(found: _Found, group_id: str | None, choices: Mapping[str, str]) -> Iterable[Mapped]:
    if found.is_of_rows:
        keys = {key: key.partition("=") for key in choices}
        return [Mapped(found.dataset, "", keys[key][0], keys[key][2], known) for key, known in choices.items()]
    if group_id is None:
        raise UnusableVerdictError(
            f"the header of this file of {found.dataset} cannot be read, so that no column can be mapped; fix the file "
            "and drop it again, or leave it out"
        )
    shape = group_id.partition(" ")[2]
    return [Mapped(found.dataset, shape, column, title) for column, title in choices.items()]
