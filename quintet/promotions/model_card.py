"""The model card: the quality of a model's scores on labelled accounts, and their drift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve

from quintet.ml import statistics
from quintet.promotions.evidence import EVIDENCE
from quintet.promotions.links import SHARED_EVIDENCE
from quintet.promotions.model import AbuseModel
from quintet.promotions.policy import Policy
from quintet.promotions.resamples import average_precisions, cluster_weights

FALSE_POSITIVE_SHARE = 0.01
_RESAMPLES = 300
_SCORE_BINS = np.linspace(0, 1, 11)


@dataclass(frozen=True)
class Estimate:
    """A figure with the interval that holds it in 95% of resamples."""

    value: float
    low: float
    high: float


def figures(is_abuser: np.ndarray, score: np.ndarray, cluster: np.ndarray, policy: Policy) -> dict[str, Estimate]:
    """Return how well scores separate abusers, on labelled accounts, with intervals from resampled clusters.

    average_precision; recall_at_1_percent_false_positives; precision and recall of `review` (and above) and of `block`.
    Raises ValueError if one class is absent.
    """
    if is_abuser.all() or not is_abuser.any():
        raise ValueError("figures need labelled abusers and labelled honest people")
    weights = cluster_weights(is_abuser, cluster, _RESAMPLES)
    drawn = [_measured(is_abuser, score, weight, policy) for weight in weights]
    values = _measured(is_abuser, score, np.ones(len(score)), policy)
    bounds = pd.DataFrame(drawn).quantile([0.025, 0.975])
    return {
        name: Estimate(value, float(bounds[name].iloc[0]), float(bounds[name].iloc[1]))
        for name, value in values.items()
    }


def _measured(y: np.ndarray, score: np.ndarray, weight: np.ndarray, policy: Policy) -> dict[str, float]:
    measured = {
        "average_precision": float(average_precisions(y, score, [weight])[0]),
        "recall_at_1_percent_false_positives": recall_at(y, score, FALSE_POSITIVE_SHARE, weight),
    }
    for name, threshold in (("review", policy.review_from), ("block", policy.block_from)):
        chosen = weight * (score >= threshold)
        measured[f"precision_of_{name}"] = float((chosen * y).sum() / chosen.sum()) if chosen.sum() else np.nan
        measured[f"recall_of_{name}"] = float((chosen * y).sum() / (weight * y).sum())
    return measured


def recall_at(
    is_abuser: np.ndarray, score: np.ndarray, false_positive_share: float, weight: np.ndarray | None = None
) -> float:
    """Return the recall at the threshold with at most this share of honest people above it."""
    weight = np.ones(len(score)) if weight is None else weight
    order = np.argsort(-score, kind="stable")
    honest = np.cumsum((weight * ~is_abuser)[order])
    caught = np.cumsum((weight * is_abuser)[order])
    # A threshold cannot split equal scores.
    is_last_of_equal = np.append(np.diff(score[order]) != 0, True)
    is_allowed = is_last_of_equal & (honest <= false_positive_share * honest[-1])
    return float(caught[is_allowed].max(initial=0) / caught[-1])


def precision_recall(is_abuser: np.ndarray, score: np.ndarray) -> pd.DataFrame:
    """Return the curve: threshold, precision, recall; one row per distinct score, from the lowest."""
    precision, recall, threshold = precision_recall_curve(is_abuser, score)
    return pd.DataFrame({"threshold": threshold, "precision": precision[:-1], "recall": recall[:-1]})


def threshold_table(is_abuser: np.ndarray, score: np.ndarray, steps: int = 20) -> pd.DataFrame:
    """Return threshold, flagged, abusers, precision, recall for `steps` equal steps of the threshold.

    precision is null where no account is flagged.
    """
    threshold = np.arange(1, steps) / steps
    ordered, caught = np.sort(score), np.sort(score[is_abuser])
    flagged = len(ordered) - ordered.searchsorted(threshold)
    abusers = len(caught) - caught.searchsorted(threshold)
    table = pd.DataFrame({"threshold": threshold, "flagged": flagged, "abusers": abusers})
    return table.assign(
        precision=(table["abusers"] / table["flagged"]).where(table["flagged"] > 0),
        recall=table["abusers"] / max(len(caught), 1),
    )


def shared_key_share(columns: np.ndarray) -> float:
    """Return the share of accounts that share any key with another, hubs excluded."""
    kinds = [EVIDENCE.index(name) for name in SHARED_EVIDENCE]
    return float((columns[:, kinds] > 0).any(axis=1).mean()) if len(columns) else 0.0


def coefficients(model: AbuseModel) -> pd.DataFrame:
    """Return the weights of the model: evidence, log_odds (per unit)."""
    return pd.DataFrame({"evidence": EVIDENCE, "log_odds": [model.coefficients.get(name, 0.0) for name in EVIDENCE]})


def stability(before: np.ndarray, now: np.ndarray) -> float:
    """Return the population stability index of two versions' scores, in ten bins; NaN without scores."""
    return statistics.stability(*(np.histogram(scores, _SCORE_BINS)[0] for scores in (before, now)))
