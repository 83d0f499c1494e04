"""Evaluate rules and lists over columns: a million subjects, or the one that just arrived, by the same function.

A text is compared once for each distinct value. Numbers are compared with all limits of a figure at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from quintet.rules.conditions import EQUAL, FALSE, IN, KNOWN, MISSING, NOT_IN, TRUE, UNEQUAL, Condition, folded
from quintet.rules.figures import RuleGrammar
from quintet.rules.lists import EntryList
from quintet.rules.rule_set import NO_ACTION, RuleSet

_MOST_CELLS = 8_000_000
"""Conditions times rows in memory at a time."""

_OPERATORS: Mapping[str, Callable[..., np.ndarray]] = {
    "<=": np.less_equal,
    ">=": np.greater_equal,
    "!=": np.not_equal,
    "<": np.less,
    ">": np.greater,
    "=": np.equal,
}


@dataclass(frozen=True)
class Texts:
    """A column of texts: each row's place in `values`, -1 where the text is missing."""

    place: np.ndarray
    values: Sequence[str]

    @classmethod
    def of(cls, texts: Sequence[str | None] | pa.Array | pa.ChunkedArray) -> Texts:
        """Return the column; an Arrow array is the compact form of many."""
        if isinstance(texts, pa.Array | pa.ChunkedArray):
            whole = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
            found = pc.dictionary_encode(whole.cast(pa.string()))
            return cls(found.indices.fill_null(-1).to_numpy(), found.dictionary.to_pylist())
        places: dict[str, int] = {}
        row = [-1 if text is None else places.setdefault(text, len(places)) for text in texts]
        return cls(np.array(row, dtype=np.int64), list(places))

    def mapped(self, change: Callable[[str], str | None]) -> Texts:
        """Return the column of another text made from each."""
        changed = Texts.of([change(value) for value in self.values])
        place = np.append(changed.place, -1)[self.place]
        return Texts(place, changed.values)

    def where(self, is_wanted: Sequence[bool]) -> np.ndarray:
        """Return the rows whose value is wanted; never those without a value."""
        return np.append(np.asarray(is_wanted, dtype=bool), False)[self.place]


Column = np.ndarray | Texts
"""Numbers with NaN where missing (flags are 1 and 0), or texts."""


_Places = tuple[Sequence[int], Sequence[int]]


@dataclass(frozen=True)
class Verdicts:
    """What rules decide of each row.

    decision: its place in the grammar's decisions; -1 where no rule or list applies. row, code: the reasons, a row and
    a place in `codes` each, in order of the rows: those of the decision that won. counts: how many rows each reason
    applies to, whether it won or not.
    """

    decision: np.ndarray
    row: np.ndarray
    code: np.ndarray
    codes: tuple[str, ...]
    counts: np.ndarray

    def reasons(self) -> list[list[str]]:
        """Return the codes of each row."""
        found: list[list[str]] = [[] for _ in range(len(self.decision))]
        for row, code in zip(self.row.tolist(), self.code.tolist(), strict=True):
            found[row].append(self.codes[code])
        return found


class Evaluator:
    """A rule set, prepared for columns. lists: the entries by name; a list without entries matches nothing."""

    def __init__(
        self, rules: RuleSet, grammar: RuleGrammar, lists: Mapping[str, EntryList] = MappingProxyType({})
    ) -> None:
        self.rules, self.grammar, self.lists = rules, grammar, lists
        clauses = list(self._clauses())
        self.codes = tuple(code for code, _, _ in clauses)
        self._decision = np.array([grammar.decisions.index(decision) for _, decision, _ in clauses], dtype=np.int64)
        places: dict[Condition, int] = {}
        members = [[places.setdefault(one, len(places)) for one in when] for _, _, when in clauses]
        self._conditions = tuple(places)
        self._member = np.array([place for each in members for place in each], dtype=np.int64)
        self._start = np.cumsum([0, *(len(each) for each in members)])[:-1]

    def _clauses(self) -> Iterator[tuple[str, str, tuple[Condition, ...]]]:
        for one in self.rules.lists.values():
            if one.action != NO_ACTION:
                decision = self.grammar.list_decisions[one.action]
                yield one.code, decision, (Condition(one.figure, IN, text=one.name),)
        for rule in self.rules.rules:
            yield rule.code, rule.decision, rule.when

    @property
    def needs(self) -> frozenset[str]:
        """The figures that it reads."""
        return self.rules.needs

    @property
    def only_domains(self) -> frozenset[str]:
        """The figures of which it reads nothing but the domain of an e-mail address."""
        others = {one.name for one in self._conditions if not self._reads_domain(one)}
        return frozenset(one.name for one in self._conditions if one.relation in (IN, NOT_IN)) - others

    def _reads_domain(self, condition: Condition) -> bool:
        if condition.relation in (IN, NOT_IN):
            return self.rules.lists[condition.text].matches == "email_domain"
        return condition.relation in (MISSING, KNOWN)

    def decide(self, columns: Mapping[str, Column], rows: int, at_s: float) -> Verdicts:
        """Return what the rules decide of each of the rows. at_s: now in Unix seconds, for the expiry of entries.

        columns: those of `needs`, each as long as `rows`.
        """
        at_once = max(_MOST_CELLS // max(len(self._conditions), 1), 1)
        if rows <= at_once:
            return self._decide(columns, rows, at_s)
        parts = [
            self._decide({name: _part(column, start, start + at_once) for name, column in columns.items()}, size, at_s)
            for start in range(0, rows, at_once)
            for size in [min(at_once, rows - start)]
        ]
        starts = range(0, rows, at_once)
        return Verdicts(
            np.concatenate([part.decision for part in parts]),
            np.concatenate([part.row + start for part, start in zip(parts, starts, strict=True)]),
            np.concatenate([part.code for part in parts]),
            self.codes,
            np.sum([part.counts for part in parts], axis=0),
        )

    def _decide(self, columns: Mapping[str, Column], rows: int, at_s: float) -> Verdicts:
        if not self.codes:
            empty = np.zeros(0, dtype=np.int64)
            return Verdicts(np.full(rows, -1), empty, empty, (), empty)
        holds = np.empty((len(self._conditions), rows), dtype=bool)
        for (name, relation), places, limits in self._numeric:
            holds[places] = _compared(np.asarray(columns[name]), relation, limits)
        for name, texts, memberships in self._textual:
            column = columns[name]
            assert isinstance(column, Texts)
            self._compare_texts(holds, name, column, texts, memberships, at_s)
        for place, condition in self._presences:
            holds[place] = _is_missing(columns[condition.name]) == (condition.relation == MISSING)
        speaks = np.logical_and.reduceat(holds[self._member], self._start, axis=0)
        rank = np.where(speaks, self._decision[:, None], len(self.grammar.decisions)).min(axis=0)
        row, code = np.nonzero((speaks & (self._decision[:, None] == rank)).T)
        return Verdicts(
            np.where(rank == len(self.grammar.decisions), -1, rank), row, code, self.codes, speaks.sum(axis=1)
        )

    def _compare_texts(
        self,
        holds: np.ndarray,
        name: str,
        column: Texts,
        texts: Mapping[str, _Places],
        memberships: Sequence[tuple[int, Condition]],
        at_s: float,
    ) -> None:
        is_known = column.place >= 0
        holds[self._equal_to_text[name]] = False
        holds[self._unequal_to_text[name]] = is_known
        for at, value in enumerate(column.values if texts else ()):
            equal, unequal = texts.get(folded(value), ((), ()))
            if equal or unequal:
                is_value = column.place == at
                holds[list(equal)] |= is_value
                holds[list(unequal)] &= ~is_value
        found_in: dict[str, np.ndarray] = {}
        for place, condition in memberships:
            entries = self.lists.get(condition.text)
            if condition.text not in found_in:
                members = entries.members(column.values, at_s) if entries is not None else [False] * len(column.values)
                found_in[condition.text] = column.where(members)
            found = found_in[condition.text]
            holds[place] = found if condition.relation == IN else is_known & ~found

    @cached_property
    def _numeric(self) -> list[tuple[tuple[str, str], np.ndarray, np.ndarray]]:
        """Comparisons of numbers and flags: figure and relation, their places, and their limits as a column."""
        groups: dict[tuple[str, str], list[tuple[int, float]]] = {}
        for place, one in enumerate(self._conditions):
            if one.relation in (TRUE, FALSE):
                groups.setdefault((one.name, "="), []).append((place, float(one.relation == TRUE)))
            elif one.relation in _OPERATORS and not one.text:
                groups.setdefault((one.name, one.relation), []).append((place, one.number))
        return [
            (key, np.array([place for place, _ in group]), np.array([[limit] for _, limit in group]))
            for key, group in groups.items()
        ]

    @cached_property
    def _textual(self) -> list[tuple[str, Mapping[str, _Places], list[tuple[int, Condition]]]]:
        """By figure: the places of comparisons by their text, equal and unequal, and the memberships of lists."""
        texts: dict[str, dict[str, tuple[list[int], list[int]]]] = {}
        memberships: dict[str, list[tuple[int, Condition]]] = {}
        for place, one in enumerate(self._conditions):
            if one.relation in (IN, NOT_IN):
                memberships.setdefault(one.name, []).append((place, one))
            elif one.text:
                equal, unequal = texts.setdefault(one.name, {}).setdefault(one.text, ([], []))
                (equal if one.relation == EQUAL else unequal).append(place)
        return [(name, texts.get(name, {}), memberships.get(name, [])) for name in {**texts, **memberships}]

    @cached_property
    def _equal_to_text(self) -> Mapping[str, list[int]]:
        return {name: [at for equal, _ in texts.values() for at in equal] for name, texts, _ in self._textual}

    @cached_property
    def _unequal_to_text(self) -> Mapping[str, list[int]]:
        return {name: [at for _, unequal in texts.values() for at in unequal] for name, texts, _ in self._textual}

    @cached_property
    def _presences(self) -> list[tuple[int, Condition]]:
        return [(place, one) for place, one in enumerate(self._conditions) if one.relation in (MISSING, KNOWN)]


def _compared(values: np.ndarray, relation: str, limits: np.ndarray) -> np.ndarray:
    """Return a row for each limit. NaN, a missing value, fulfils no comparison."""
    found: np.ndarray = _OPERATORS[relation](values[None, :], limits)
    return found & ~np.isnan(values)[None, :] if relation == UNEQUAL else found


def _is_missing(column: Column) -> np.ndarray:
    return column.place < 0 if isinstance(column, Texts) else np.isnan(column)


def _part(column: Column, start: int, end: int) -> Column:
    if not isinstance(column, Texts):
        return column[start:end]
    used, place = np.unique(column.place[start:end], return_inverse=True)
    has_missing = bool(len(used)) and used[0] < 0
    values = [column.values[at] for at in used[int(has_missing) :].tolist()]
    return Texts(place - int(has_missing), values)


def codes_by_row(verdicts: Verdicts, model_reasons: Iterable[Sequence[str]]) -> list[list[str]]:
    """Return the codes of rules of each row, followed by those of the model."""
    return [[*own, *others] for own, others in zip(verdicts.reasons(), model_reasons, strict=True)]
