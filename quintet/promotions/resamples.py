"""Bootstrap weights of whole clusters, and average precision under them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

_SEED = 0


def cluster_weights(is_abuser: np.ndarray, cluster: np.ndarray, count: int) -> Iterator[np.ndarray]:
    """Yield `count` bootstrap weights of the rows, equal within a cluster; each keeps some of both classes."""
    rng = np.random.default_rng(_SEED)
    group = np.unique(cluster, return_inverse=True)[1]
    made = 0
    while made < count:
        weight = rng.poisson(1.0, int(group.max()) + 1)[group].astype(float)
        if weight[is_abuser].sum() and weight[~is_abuser].sum():
            made += 1
            yield weight


def average_precisions(is_abuser: np.ndarray, score: np.ndarray, weights: Iterable[np.ndarray]) -> np.ndarray:
    """Return the average precision of the scores under each of the weights; equal scores count together."""
    order = np.argsort(-score, kind="stable")
    ordered_score, ordered_abuser = score[order], is_abuser[order]
    last = np.flatnonzero(np.append(np.diff(ordered_score) != 0, True))
    precisions = []
    for weight in weights:
        ordered_weight = weight[order]
        flagged = np.cumsum(ordered_weight)[last]
        caught = np.cumsum(ordered_weight * ordered_abuser)[last]
        gained = np.diff(caught, prepend=0)
        precision = np.divide(caught, flagged, out=np.zeros(len(last)), where=flagged > 0)
        precisions.append(float((precision * gained).sum() / caught[-1]))
    return np.array(precisions)
