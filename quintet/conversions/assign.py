"""Turn link probabilities into matches: the threshold and the one-to-one assignment."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

_PACK_ROWS = 150
_TIE, _TIE_OF_TIES = 1e-7, 1e-9
_BELOW_HALF = 0.95
_LEAST_THRESHOLD = 0.1  # less likely pairs are of no use


def best_threshold(probability: np.ndarray, links: float) -> float:
    """Return the threshold that gives the largest expected F1.

    The threshold is slightly below half of the largest F1: F1 is flat there, and nearly equal pairs (two equal rows
    after one conversion) stay on one side of it despite the noise of the calibration.

    probability: of each pair that may be matched. links: expected number of true links, including those out of reach.
    """
    falling = np.sort(probability[probability > 0])[::-1]
    if not len(falling) or links <= 0:
        return 0.5
    f1 = 2 * np.cumsum(falling) / (np.arange(1, len(falling) + 1) + links)
    return max(_BELOW_HALF * float(f1.max()) / 2, _LEAST_THRESHOLD)


def one_to_one(row: np.ndarray, conversion: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Return the pairs to keep, as a mask: the exact largest sum of `gain` with each row and conversion at most once.

    row, conversion: by pair, in canonical order; gain: above 0. Each connected component is solved independently.
    Several share a matrix, which does not change the result: ties are broken by the order within the component.
    """
    kept = np.zeros(len(row), dtype=bool)
    if not len(row):
        return kept
    _, row_number = np.unique(row, return_inverse=True)
    _, conversion_number = np.unique(conversion, return_inverse=True)
    alone = (np.bincount(row_number)[row_number] == 1) & (np.bincount(conversion_number)[conversion_number] == 1)
    kept[alone] = True
    rest = np.flatnonzero(~alone)
    if not len(rest):
        return kept
    rows, columns = row_number[rest], conversion_number[rest]
    size = int(rows.max()) + 1
    graph = coo_array((np.ones(len(rest)), (rows, columns + size)), shape=(size + int(columns.max()) + 1,) * 2)
    _, labels = connected_components(graph, directed=False)
    component = labels[rows]
    order = np.lexsort((columns, rows, component))
    rest, rows, columns, component = rest[order], rows[order], columns[order], component[order]
    first = np.flatnonzero(np.r_[True, np.diff(component) != 0])
    place = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(rest))))
    row_places = _places(place, rows)
    column_places = _places(place, columns)
    tied = gain[rest] + _tie_break(row_places, column_places, place)
    pack = np.cumsum(np.maximum(row_places.sizes, column_places.sizes)) // _PACK_ROWS
    pack_of_pair = pack[place]
    bounds = np.flatnonzero(np.r_[True, np.diff(pack_of_pair) != 0, True])
    for start, end in pairwise(bounds):
        r = row_places.number[start:end] - row_places.number[start:end].min()
        c = column_places.number[start:end] - column_places.number[start:end].min()
        matrix = np.zeros((int(r.max()) + 1, int(c.max()) + 1))
        matrix[r, c] = tied[start:end]
        chosen_rows, chosen_columns = linear_sum_assignment(matrix, maximize=True)
        chosen = np.full(matrix.shape[0], -1)
        chosen[chosen_rows] = chosen_columns
        kept[rest[start:end][chosen[r] == c]] = True
    return kept


class _Places:
    """Members of components, numbered: `number` over all components, `within` its component, `sizes` by component."""

    def __init__(self, number: np.ndarray, within: np.ndarray, sizes: np.ndarray) -> None:
        self.number, self.within, self.sizes = number, within, sizes


def _tie_break(row: _Places, column: _Places, component: np.ndarray) -> np.ndarray:
    """Return what to add to each pair's gain so that equal sums have one winner, independent of other components.

    Pairing in order (earlier rows with earlier conversions) wins; ties among those are broken by a hash.
    """
    in_order = (1.0 + row.within) * (1.0 + column.within) / (row.sizes * column.sizes)[component]
    noise = pd.util.hash_array((row.within << 32) + column.within) / 2.0**64
    return _TIE * in_order + _TIE_OF_TIES * noise


def _places(component: np.ndarray, member: np.ndarray) -> _Places:
    members = int(member.max()) + 1
    pairs, number = np.unique(component.astype(np.int64) * members + member, return_inverse=True)
    sizes = np.bincount(pairs // members)
    return _Places(number, number - (np.cumsum(sizes) - sizes)[component], sizes)
