"""A scoring model: from an application's figures to points, a probability of default, and reasons.

Points have the same scale for every kind of model: 500 are even odds of default, and each 20 more halve them.
"""

from __future__ import annotations

import hashlib
import json
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

FORMAT = "quintet lending model 1"
"""The format of the JSON; raise its number with every change of the meaning."""

EVEN_POINTS = 500
POINTS_PER_LOG_ODDS = 20 / math.log(2)
MOST_REASONS = 4
"""The most reasons that an adverse-action notice may name."""

_FEWEST_POINTS = 1.0  # an input that costs fewer points is no reason


@dataclass(frozen=True)
class Input:
    """An input of a model.

    direction: 1 if a higher value must never lower the risk, -1 if it must never raise it. reason, reason_if_null: the
    codes of the reasons if its value, or a null, cost points. null_is_unknown: null carries no information, and neither
    costs nor earns points.
    """

    name: str
    direction: int
    reason: str
    reason_if_null: str
    null_is_unknown: bool = False


INPUTS: Mapping[str, Input] = {
    found.name: found
    for found in (
        Input("amount", 1, "AMOUNT_LARGE", "APPLICATION_INCOMPLETE", null_is_unknown=True),
        Input("duration_days", 1, "DURATION_LONG", "APPLICATION_INCOMPLETE", null_is_unknown=True),
        Input("days_since_first_loan", -1, "BORROWER_SINCE_SHORT", "NO_LOAN_HISTORY"),
        Input("days_since_last_late_payment", -1, "LATE_PAYMENT_RECENT", "NO_PAYMENT_HISTORY"),
        Input("late_payments_share", 1, "LATE_PAYMENTS_SHARE_HIGH", "NO_PAYMENT_HISTORY"),
        Input("open_loans_count", 1, "OPEN_LOANS_MANY", "HISTORY_UNKNOWN", null_is_unknown=True),
        Input("outstanding_principal", 1, "OUTSTANDING_PRINCIPAL_HIGH", "HISTORY_UNKNOWN", null_is_unknown=True),
        Input("overdue_loans_count", 1, "LOANS_OVERDUE", "HISTORY_UNKNOWN", null_is_unknown=True),
        Input("paid_loans_count", -1, "PAID_LOANS_FEW", "HISTORY_UNKNOWN", null_is_unknown=True),
        Input("profit_in_last_90_days_rate", -1, "INTEREST_PAID_LITTLE", "NO_RECENT_LOAN"),
    )
}
"""By name: `amount` and `duration_days` of the application, and features of `quintet.lending.feature_registry`.

The client's age is not among them: docs/decisions/lending-scoring.md says why.
"""

APPLICATION_FIELDS = ("amount", "duration_days")
"""The inputs that are fields of the application, not features."""

REASONS: Mapping[str, str] = {
    "AMOUNT_LARGE": "The amount applied for is large.",
    "DURATION_LONG": "The loan is applied for over a long time.",
    "APPLICATION_INCOMPLETE": "The application does not say the amount or the duration.",
    "BORROWER_SINCE_SHORT": "The first loan with us was issued only a short time ago.",
    "NO_LOAN_HISTORY": "There is no earlier loan with us.",
    "LATE_PAYMENT_RECENT": "A payment was late not long ago.",
    "LATE_PAYMENTS_SHARE_HIGH": "A large share of the payments to us was late.",
    "NO_PAYMENT_HISTORY": "There is no record of payments to us.",
    "OPEN_LOANS_MANY": "Other loans with us are still open.",
    "OUTSTANDING_PRINCIPAL_HIGH": "Much of what was lent before is still owed.",
    "LOANS_OVERDUE": "Another loan with us is overdue.",
    "PAID_LOANS_FEW": "Few loans with us were paid back so far.",
    "INTEREST_PAID_LITTLE": "Little interest was received on the loans of the last 90 days.",
    "NO_RECENT_LOAN": "No loan was issued in the last 90 days.",
    "HISTORY_UNKNOWN": "What was known of earlier loans could not be told.",
}
"""The sentence of a notice by reason code."""


class ModelFileError(ValueError):
    """The text is not a valid scoring model; the message says why."""


@dataclass(frozen=True)
class Scored:
    """The score of one application.

    default_probability: calibrated, 0 to 1. points: higher is safer. reasons: codes of `REASONS` of the inputs that
    cost most points against the average applicant, the costliest first, at most four.
    """

    default_probability: float
    points: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Bins:
    """The points of an input: `points[i]` from `edges[i - 1]` up to below `edges[i]`, and `null_points` for null.

    average: the mean points of the training set's applicants.
    """

    edges: tuple[float, ...]
    points: tuple[int, ...]
    null_points: int
    average: float

    def of(self, value: float | None) -> int:
        """Return the points of a value."""
        return self.null_points if value is None else self.points[bisect_right(self.edges, value)]


@dataclass(frozen=True)
class Node:
    """A node of a tree: values up to `threshold` go `left`, null too if `null_left`, others `right`.

    value: the mean log-odds of the leaves below; of a leaf, its own. feature: the place of the input, -1 for a leaf.
    """

    feature: int
    threshold: float
    null_left: bool
    left: int
    right: int
    value: float


@dataclass(frozen=True)
class Trees:
    """Boosted trees: the log-odds of default are `shift + slope * (intercept + the leaves)`.

    averages: for each input the mean of what its splits add to the log-odds of the training set's applicants.
    """

    intercept: float
    slope: float
    shift: float
    averages: tuple[float, ...]
    trees: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True)
class ScoringModel:
    """A scorecard (`bins` by input, `base_points`) or boosted `trees`. Equal content has an equal version."""

    inputs: tuple[str, ...]
    base_points: int = 0
    bins: Mapping[str, Bins] | None = None
    trees: Trees | None = None

    @property
    def kind(self) -> str:
        """`scorecard` or `boosted`."""
        return "scorecard" if self.trees is None else "boosted"

    @cached_property
    def version(self) -> str:
        """The kind and a digest of the content."""
        return f"{self.kind}-{hashlib.sha256(self.to_json().encode()).hexdigest()[:12]}"

    def score(self, values: Mapping[str, float | None]) -> Scored:
        """Score one application. values: by the names of `inputs`, others are ignored; None is null.

        Raises ValueError for an input that is missing or not a finite number.
        """
        row = [_number(values, name) for name in self.inputs]
        return self._by_bins(row) if self.trees is None else self._by_trees(row, self.trees)

    def _by_bins(self, row: Sequence[float | None]) -> Scored:
        points, costs = self.base_points, []
        for (name, bins), value in zip(self._cards, row, strict=True):
            earned = bins.of(value)
            points += earned
            if bins.average - earned >= _FEWEST_POINTS:
                costs.append((bins.average - earned, name, value))
        return Scored(probability_of(points), points, _reasons(costs))

    def _by_trees(self, row: Sequence[float | None], boosted: Trees) -> Scored:
        added = [0.0] * len(row)
        total = boosted.intercept
        for nodes in self._flat:
            feature, threshold, null_left, left, right, value = nodes[0]
            while feature >= 0:
                found = row[feature]
                split = feature
                before = value
                goes_left = null_left if found is None else found <= threshold
                feature, threshold, null_left, left, right, value = nodes[left if goes_left else right]
                added[split] += value - before
            total += value
        log_odds = boosted.shift + boosted.slope * total
        scale = POINTS_PER_LOG_ODDS * boosted.slope
        costs = [
            (scale * (own - average), name, value)
            for own, average, name, value in zip(added, boosted.averages, self.inputs, row, strict=True)
            if scale * (own - average) >= _FEWEST_POINTS
        ]
        points = round(EVEN_POINTS - POINTS_PER_LOG_ODDS * log_odds)
        return Scored(1 / (1 + math.exp(-log_odds)), points, _reasons(costs))

    @cached_property
    def _cards(self) -> list[tuple[str, Bins]]:
        return [(name, (self.bins or {})[name]) for name in self.inputs]

    @cached_property
    def _flat(self) -> list[list[tuple[int, float, bool, int, int, float]]]:
        """Nodes as plain tuples, which are faster to read than attributes."""
        trees = self.trees.trees if self.trees is not None else ()
        return [[(n.feature, n.threshold, n.null_left, n.left, n.right, n.value) for n in nodes] for nodes in trees]

    def to_json(self) -> str:
        """Return canonical JSON; `from_json` restores the model exactly."""
        content: dict[str, Any] = {"format": FORMAT, "kind": self.kind, "inputs": list(self.inputs)}
        if self.trees is None:
            content["base_points"] = self.base_points
            content["bins"] = {
                name: {
                    "edges": list(bins.edges),
                    "points": list(bins.points),
                    "null_points": bins.null_points,
                    "average": bins.average,
                }
                for name, bins in self._cards
            }
        else:
            content |= {name: getattr(self.trees, name) for name in ("intercept", "slope", "shift")}
            content["averages"] = list(self.trees.averages)
            content["trees"] = [
                [[n.feature, n.threshold, n.null_left, n.left, n.right, n.value] for n in nodes]
                for nodes in self.trees.trees
            ]
        return json.dumps(content, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ScoringModel:
        """Parse a model. Raises ModelFileError, a ValueError."""
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            raise ModelFileError(f"the model is not JSON: {error}; retrain it, or restore the file") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            found = content.get("format") if isinstance(content, dict) else type(content).__name__
            raise ModelFileError(f"the model has the format {found!r}, not {FORMAT!r}; retrain it")
        inputs = _inputs(content)
        try:
            if content.get("kind") == "scorecard":
                bins = {name: _bins(name, content["bins"][name]) for name in inputs}
                return cls(inputs, base_points=_whole("base_points", content["base_points"]), bins=bins)
            if content.get("kind") == "boosted":
                return cls(inputs, trees=_trees(content, len(inputs)))
        except (KeyError, TypeError, IndexError) as error:
            raise ModelFileError(f"the model lacks a part or has one of another shape: {error!r}") from error
        raise ModelFileError(f"the model has the kind {content.get('kind')!r}, not scorecard or boosted")


def probability_of(points: float) -> float:
    """Return the probability of default of points."""
    return 1 / (1 + math.exp((points - EVEN_POINTS) / POINTS_PER_LOG_ODDS))


def _number(values: Mapping[str, float | None], name: str) -> float | None:
    try:
        value = values[name]
    except KeyError:
        raise ValueError(f"the input {name} is missing; give a number, or null if there is none") from None
    if value is not None and not (isinstance(value, (int, float)) and math.isfinite(value)):
        raise ValueError(f"the input {name} is {value!r}; give a finite number, or null if there is none")
    return value


def _reasons(costs: list[tuple[float, str, float | None]]) -> tuple[str, ...]:
    """Return the codes of the costliest inputs, each code once; ties are ordered by name."""
    costs.sort(key=lambda cost: (-cost[0], cost[1]))
    codes = [INPUTS[name].reason if value is not None else INPUTS[name].reason_if_null for _, name, value in costs]
    return tuple(dict.fromkeys(codes))[:MOST_REASONS]


def _inputs(content: Mapping[str, Any]) -> tuple[str, ...]:
    names = content.get("inputs")
    if not isinstance(names, list) or not names or len(set(map(str, names))) != len(names):
        raise ModelFileError(f"inputs of the model must be a list of names, each once, not {names!r}")
    for name in names:
        if name not in INPUTS:
            raise ModelFileError(f"the model has the input {name!r}, which does not exist; known: {', '.join(INPUTS)}")
    return tuple(names)


def _bins(name: str, content: Mapping[str, Any]) -> Bins:
    edges = tuple(_finite(f"an edge of {name}", edge) for edge in content["edges"])
    points = tuple(_whole(f"points of {name}", value) for value in content["points"])
    if any(later <= earlier for earlier, later in pairwise(edges)):
        raise ModelFileError(f"the edges of {name} must rise, not be {list(edges)}")
    if len(points) != len(edges) + 1:
        raise ModelFileError(f"{name} has {len(edges)} edges and so needs {len(edges) + 1} points, not {len(points)}")
    return Bins(
        edges, points, _whole(f"null_points of {name}", content["null_points"]), _finite(name, content["average"])
    )


def _trees(content: Mapping[str, Any], inputs: int) -> Trees:
    averages = tuple(_finite("an average", average) for average in content["averages"])
    if len(averages) != inputs:
        raise ModelFileError(f"there are {inputs} inputs and so {inputs} averages, not {len(averages)}")
    trees = tuple(
        tuple(_node(place, node, len(tree), inputs) for place, node in enumerate(tree)) for tree in content["trees"]
    )
    if not all(trees):
        raise ModelFileError("a tree of the model has no node")
    intercept, slope, shift = (_finite(name, content[name]) for name in ("intercept", "slope", "shift"))
    if slope <= 0:
        raise ModelFileError(f"slope must be above 0, not {slope}: the model would score upside down")
    return Trees(intercept, slope, shift, averages, trees)


def _node(place: int, node: Sequence[Any], nodes: int, inputs: int) -> Node:
    if len(node) != 6:
        raise ModelFileError(f"node {place} of a tree must have six parts, not {list(node)}")
    feature, threshold, null_left, left, right, value = node
    found = Node(
        _whole("a node's input", feature),
        _finite("a threshold", threshold),
        bool(null_left),
        _whole("a node's left", left),
        _whole("a node's right", right),
        _finite("a node's value", value),
    )
    # A child comes after its parent, which rules out cycles.
    is_leaf = found.feature == -1
    if not is_leaf and not (0 <= found.feature < inputs and place < found.left < nodes and place < found.right < nodes):
        raise ModelFileError(f"node {place} of a tree leads nowhere: {list(node)}")
    return found


def _finite(what: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ModelFileError(f"{what} must be a finite number, not {value!r}")
    return float(value)


def _whole(what: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ModelFileError(f"{what} must be a whole number, not {value!r}")
    return value
