"""The probability of each pair, given that a click has at most one row and a row at most one click."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

TOLERANCE = 2e-3
_MOST_ROUNDS = 200
_ROUNDS_BETWEEN_LOOKS = 4  # to see what has settled costs as much as a round
_WORTH_SHRINKING = 0.7
_PIECE_PAIRS = 50_000  # that stay in the processor's cache


def link_probabilities(
    row: np.ndarray, click: np.ndarray, weight: np.ndarray, to_row: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """By pair the marginal probability of the link, and the messages to rows that it came from.

    row, click: of each pair, in canonical order. weight: likelihood ratio of linked to both unlinked. to_row: messages
    to begin with. Each connected component is iterated until its own messages move less than `TOLERANCE`: its result
    does not hang on what it is computed beside.
    """
    probability, last = np.zeros(len(row)), np.ones(len(row))
    if not len(row):
        return probability, last
    rows = int(row.max()) + 1
    graph = coo_array((np.ones(len(row), dtype=np.int8), (row, click + rows)), shape=(rows + int(click.max()) + 1,) * 2)
    component = connected_components(graph, directed=False)[1][row]
    # Within a component the canonical order stays.
    order = np.argsort(component, kind="stable")
    component = component[order]
    starts = np.flatnonzero(np.r_[True, np.diff(component) != 0])
    pieces = np.append(starts[np.flatnonzero(np.r_[True, np.diff(starts // _PIECE_PAIRS) != 0])], len(row))
    for start, end in pairwise(pieces):
        piece = order[start:end]
        begin = np.ones(len(piece)) if to_row is None else to_row[piece]
        probability[piece], last[piece] = _propagate(
            row[piece], click[piece], weight[piece], component[start:end], begin
        )
    # A click's pairs sum to at most one by their form, a row's only where the messages have come to rest entirely.
    return probability / np.maximum(np.bincount(row, probability), 1)[row], last


def _propagate(
    row: np.ndarray, click: np.ndarray, weight: np.ndarray, component: np.ndarray, to_row: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and messages of pairs that lie together by component."""
    probability, last = np.zeros(len(row)), np.ones(len(row))
    active = np.arange(len(row))
    rows, clicks, psi = _renumber(row), _renumber(click), weight
    starts = np.flatnonzero(np.r_[True, np.diff(component) != 0])
    is_open = np.ones(len(starts), dtype=bool)
    for round_number in range(1, _MOST_ROUNDS + 1):
        offered = psi * to_row
        rivals = np.maximum(np.bincount(clicks, offered)[clicks] - offered, 0)
        to_click = psi / (1 + rivals)
        others = np.maximum(np.bincount(rows, to_click)[rows] - to_click, 0)
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
        probability[active[done]] = (offered / (1 + np.bincount(clicks, offered)[clicks]))[done]
        last[active[done]] = to_row[done]
        is_open &= ~settled
        goes_on = np.repeat(is_open, sizes)
        left = int(goes_on.sum())
        if not left:
            break
        # Leaving out what has settled costs as much as a round.
        if left < _WORTH_SHRINKING * len(active):
            active, to_row, psi = active[goes_on], to_row[goes_on], psi[goes_on]
            rows, clicks = _renumber(rows[goes_on]), _renumber(clicks[goes_on])
            starts, is_open = np.flatnonzero(np.r_[True, np.diff(component[active]) != 0]), is_open[is_open]
    return probability, last


def _renumber(numbers: np.ndarray) -> np.ndarray:
    """The same groups, numbered from zero without gaps, so that arrays by group are no longer than they need be."""
    shifted = numbers - numbers.min()
    used = np.zeros(int(shifted.max()) + 1, dtype=np.int64)
    used[shifted] = 1
    return (np.cumsum(used) - 1)[shifted]


def most_likely_rival(group: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """By pair the largest probability of another pair of the same group, 0 where there is none."""
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
