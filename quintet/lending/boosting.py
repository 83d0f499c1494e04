"""Gradient boosting with monotone constraints, exported as plain trees."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from quintet.lending.scorecard import Columns
from quintet.lending.scoring import INPUTS, Node, ScoringModel, Trees

_SEED = 0


@dataclass(frozen=True)
class Boosted:
    """A fitted gradient boosting over `inputs`, in this order."""

    inputs: tuple[str, ...]
    fitted: HistGradientBoostingClassifier

    def log_odds(self, columns: Columns) -> np.ndarray:
        """Return the log-odds of default of each row."""
        return self.fitted.decision_function(_matrix(columns, self.inputs))

    def model(self, slope: float, shift: float, columns: Columns) -> ScoringModel:
        """Return the model of the calibrated log-odds, `shift + slope * log_odds`. columns: rows to average over."""
        # scikit-learn has no public access to its trees; a test compares these with its own predictions.
        trees = tuple(_nodes(stage[0].nodes) for stage in self.fitted._predictors)
        intercept = float(np.ravel(self.fitted._baseline_prediction)[0])
        matrix = _matrix(columns, self.inputs)
        added = sum((_added(nodes, matrix) for nodes in trees), np.zeros(matrix.shape))
        averages = tuple(round(float(mean), 9) for mean in added.mean(axis=0))
        return ScoringModel(self.inputs, trees=Trees(intercept, slope, shift, averages, trees))


def fit_boosted(columns: Columns, is_default: np.ndarray) -> Boosted:
    """Fit gradient boosting whose risk is monotone in each input, as `Input.direction` says."""
    inputs = tuple(columns)
    fitted = HistGradientBoostingClassifier(
        max_iter=60,
        learning_rate=0.12,
        max_leaf_nodes=6,
        min_samples_leaf=40,
        l2_regularization=1.0,
        monotonic_cst=[INPUTS[name].direction for name in inputs],
        random_state=_SEED,
        early_stopping=False,
    )
    return Boosted(inputs, fitted.fit(_matrix(columns, inputs), is_default))


def _matrix(columns: Columns, inputs: tuple[str, ...]) -> np.ndarray:
    return np.column_stack([columns[name] for name in inputs])


def _nodes(nodes: Any) -> tuple[Node, ...]:
    """Return the nodes of a tree, children after parents; an inner node has the mean of the leaves below it."""
    value, count = nodes["value"].astype(float), nodes["count"].astype(float)
    is_leaf = nodes["is_leaf"].astype(bool)
    for place in np.flatnonzero(~is_leaf)[::-1]:
        below = [int(nodes["left"][place]), int(nodes["right"][place])]
        value[place] = np.average(value[below], weights=count[below])
    return tuple(
        Node(-1, 0.0, False, 0, 0, float(value[place]))
        if is_leaf[place]
        else Node(
            int(node["feature_idx"]),
            min(float(node["num_threshold"]), sys.float_info.max),  # infinite if values go left and null goes right
            bool(node["missing_go_to_left"]),
            int(node["left"]),
            int(node["right"]),
            float(value[place]),
        )
        for place, node in enumerate(nodes)
    )


def _added(nodes: tuple[Node, ...], matrix: np.ndarray) -> np.ndarray:
    """Return what the splits of a tree add for each row and input: the change of the mean from node to node."""
    added = np.zeros(matrix.shape)
    reached = {0: np.ones(len(matrix), dtype=bool)}
    for place, node in enumerate(nodes):
        if node.feature < 0:
            continue
        here, column = reached[place], matrix[:, node.feature]
        goes_left = np.where(np.isnan(column), node.null_left, column <= node.threshold)
        for child, goes in ((node.left, goes_left), (node.right, ~goes_left)):
            reached[child] = here & goes
            added[reached[child], node.feature] += nodes[child].value - node.value
    return added
