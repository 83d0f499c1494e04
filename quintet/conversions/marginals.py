"""Compute link probabilities where a conversion has at most one row and a row at most one conversion."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

TOLERANCE = 2e-3
_MOST_ROUNDS = 200
_ROUNDS_BETWEEN_LOOKS = 4  # a convergence check costs as much as a round
_WORTH_SHRINKING = 0.7
_PIECE_PAIRS = 50_000  # fits in the processor's cache


def link_probabilities(
    row: np.ndarray, conversion: np.ndarray, weight: np.ndarray, to_row: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the marginal probability of each pair, and the final messages to rows.

    row, conversion: of each pair, in canonical order. weight: likelihood ratio, linked against both unlinked. to_row:
    initial messages. Each connected component is iterated by itself until its messages change less than `TOLERANCE`.
    """
    probability, last = np.zeros(len(row)), np.ones(len(row))
    if not len(row):
        return probability, last
    rows = int(row.max()) + 1
    size = rows + int(conversion.max()) + 1
    graph = coo_array((np.ones(len(row), dtype=np.int8), (row, conversion + rows)), shape=(size, size))
    component = connected_components(graph, directed=False)[1][row]
    # The canonical order stays within a component.
    order = np.argsort(component, kind="stable")
    component = component[order]
    starts = np.flatnonzero(np.r_[True, np.diff(component) != 0])
    pieces = np.append(starts[np.flatnonzero(np.r_[True, np.diff(starts // _PIECE_PAIRS) != 0])], len(row))
    for start, end in pairwise(pieces):
        piece = order[start:end]
        begin = np.ones(len(piece)) if to_row is None else to_row[piece]
        probability[piece], last[piece] = _propagate(
            row[piece], conversion[piece], weight[piece], component[start:end], begin
        )
    # A conversion's pairs sum to at most one by construction, a row's only after full convergence.
    return probability / np.maximum(np.bincount(row, probability), 1)[row], last


def _propagate(
    row: np.ndarray, conversion: np.ndarray, weight: np.ndarray, component: np.ndarray, to_row: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities and messages of pairs that are sorted by component."""
    probability, last = np.zeros(len(row)), np.ones(len(row))
    active = np.arange(len(row))
    rows, conversions, psi = _renumber(row), _renumber(conversion), weight
    starts = np.flatnonzero(np.r_[True, np.diff(component) != 0])
    is_open = np.ones(len(starts), dtype=bool)
    for round_number in range(1, _MOST_ROUNDS + 1):
        offered = psi * to_row
        rivals = np.maximum(np.bincount(conversions, offered)[conversions] - offered, 0)
        to_conversion = psi / (1 + rivals)
        others = np.maximum(np.bincount(rows, to_conversion)[rows] - to_conversion, 0)
        before, to_row = to_row, 1 / (1 + others)
        if round_number % _ROUNDS_BETWEEN_LOOKS:
            continue
        largest = np.maximum.reduceat(np.abs(to_row - before), starts)
        settled = is_open & ((largest < TOLERANCE) | (round_number == _MOST_ROUNDS))
        if not settled.any():
            continue
        sizes = np.diff(np.append(starts, len(active)))
        done = np.repeat(settled, sizes)
        offered = psi * to_row
        probability[active[done]] = (offered / (1 + np.bincount(conversions, offered)[conversions]))[done]
        last[active[done]] = to_row[done]
        is_open &= ~settled
        goes_on = np.repeat(is_open, sizes)
        left = int(goes_on.sum())
        if not left:
            break
        # Dropping converged components costs as much as a round.
        if left < _WORTH_SHRINKING * len(active):
            active, to_row, psi = active[goes_on], to_row[goes_on], psi[goes_on]
            rows, conversions = _renumber(rows[goes_on]), _renumber(conversions[goes_on])
            starts, is_open = np.flatnonzero(np.r_[True, np.diff(component[active]) != 0]), is_open[is_open]
    return probability, last


def _renumber(numbers: np.ndarray) -> np.ndarray:
    """Return the same groups, numbered from zero without gaps, which keeps arrays by group short."""
    shifted = numbers - numbers.min()
    used = np.zeros(int(shifted.max()) + 1, dtype=np.int64)
    used[shifted] = 1
    return (np.cumsum(used) - 1)[shifted]


def most_likely_rival(group: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return for each pair the largest probability of another pair of the same group, 0 where there is none."""
    if not len(group):
        return np.zeros(0)
    size = int(group.max()) + 1
    best = np.zeros(size)
    np.maximum.at(best, group, probability)
    is_best = probability == best[group]
    holder = np.full(size, -1)
    holder[group[is_best][::-1]] = np.flatnonzero(is_best)[::-1]
    rest = np.ones(len(group), dtype=bool)
    rest[holder[holder >= 0]] = False
    second = np.zeros(size)
    np.maximum.at(second, group[rest], probability[rest])
    return np.where(rest, best[group], second[group])
