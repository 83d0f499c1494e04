"""Train weights on labels, measure them on held-back accounts, and decide whether they replace the active model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # no stubs are installed

from quintet.ml.model_registry import Verdict
from quintet.promotions.accounts import Accounts
from quintet.promotions.evidence import EVIDENCE, Gathering, gather
from quintet.promotions.injected_rings import InjectedRings, inject_rings, ring_verdict
from quintet.promotions.model import AbuseModel, floor_log_odds, scorecard
from quintet.promotions.policy import Policy, read_policy
from quintet.promotions.profile import Population
from quintet.promotions.resamples import average_precisions, cluster_weights

FEWEST_OF_A_CLASS = 10
"""The fewest labelled abusers, and labelled honest people, for a training."""

_FOLDS = 5
_CLEARLY = 0.95
_EARLY = 0.7
_MARGIN = 0.01
_RESAMPLES = 200
_SEED = 0
_SCORECARD_SCALE = 9.0
_INVERSE_RIDGE = 0.5


class CannotTrainError(ValueError):
    """The labels do not suffice for training; the message says why. The scorecard stays."""


@dataclass(frozen=True)
class Training:
    """A trained model, and scores of the labelled accounts by models trained without their cluster.

    rows: the labelled accounts; is_abuser: their labels; logistic, boosted, card: their scores by a logistic
    regression, gradient boosting and the scorecard. boosting_wins: whether boosting is significantly better.
    later_rows, later: the labelled accounts of the clusters that began last, and their scores by a regression trained
    on the earlier clusters; empty where these have too few of a class.
    """

    model: AbuseModel
    rows: np.ndarray
    is_abuser: np.ndarray
    logistic: np.ndarray
    boosted: np.ndarray
    card: np.ndarray
    boosting_wins: bool
    later_rows: np.ndarray
    later: np.ndarray


def settled_labels(labels: pd.DataFrame, user_id: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Return 1, 0 or NaN for each user_id, and the users with contradicting labels, whose label is NaN.

    labels: user_id, is_abuser and, where known, labelled_at, of which the latest is used; nulls are ignored.
    """
    known = labels.dropna(subset=["user_id", "is_abuser"])
    if "labelled_at" in known:
        latest = known.groupby("user_id")["labelled_at"].transform("max")
        known = known[(known["labelled_at"] == latest) | latest.isna()]
    by_user = known["is_abuser"].astype(bool).groupby(known["user_id"]).agg(["min", "max"])
    contradicting = by_user["min"] != by_user["max"]
    settled = by_user["max"].astype(float).mask(contradicting)
    return settled.reindex(pd.Index(user_id)).to_numpy(dtype=float), sorted(by_user.index[contradicting])


# One thread: several threads on busy cores wait for one another longer than they work.
@threadpool_limits.wrap(limits=1)
def train(
    columns: np.ndarray, label: np.ndarray, cluster: np.ndarray, created_at_s: np.ndarray, population: Population
) -> Training:
    """Train on the rows whose label is 1 or 0; NaN is unknown. Clusters are never split between folds.

    Raises CannotTrainError if one class has fewer than `FEWEST_OF_A_CLASS` labels or too few clusters.
    """
    rows = np.flatnonzero(np.isfinite(label))
    x, y, group = columns[rows], label[rows].astype(bool), cluster[rows]
    for name, has in (("abusers", y), ("honest people", ~y)):
        if has.sum() < FEWEST_OF_A_CLASS:
            raise CannotTrainError(f"{has.sum()} {name} are labelled; {FEWEST_OF_A_CLASS} are needed to train")
        if len(np.unique(group[has])) < _FOLDS:
            raise CannotTrainError(f"the labelled {name} belong to fewer than {_FOLDS} clusters")
    card = scorecard(population)
    held_back = np.zeros(len(y))
    boosted = np.zeros(len(y))
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=_SEED)
    for seen, unseen in folds.split(x, y, group):
        held_back[unseen] = _logistic(x[seen], y[seen], card).linear(x[unseen])
        boosted[unseen] = _boosting().fit(x[seen], y[seen]).predict_proba(x[unseen])[:, 1]
    slope, shift = _calibration(held_back, y)
    model = _logistic(x, y, card)
    calibrated = AbuseModel(
        "logistic",
        round(float(model.intercept * slope + shift), 10),
        {name: round(value * slope, 10) for name, value in model.coefficients.items()},
        population,
    )
    logistic = 1 / (1 + np.exp(-np.maximum(held_back * slope + shift, floor_log_odds(x))))
    is_later = _is_later(group, created_at_s[rows])
    can_test = min(y[~is_later].sum(), (~y[~is_later]).sum(), y[is_later].sum(), (~y[is_later]).sum()) > 0
    is_tested = is_later & can_test
    return Training(
        model=calibrated,
        rows=rows,
        is_abuser=y,
        logistic=logistic,
        boosted=boosted,
        card=card.scores(x),
        boosting_wins=is_clearly_better(y, boosted, logistic, group),
        later_rows=rows[is_tested],
        later=_logistic(x[~is_later], y[~is_later], card).scores(x[is_tested]) if can_test else np.zeros(0),
    )


def _is_later(cluster: np.ndarray, created_at_s: np.ndarray) -> np.ndarray:
    """Return which rows belong to the clusters that began in the last three tenths of the sign-ups."""
    began = np.full(int(cluster.max()) + 1, np.inf)
    np.fmin.at(began, cluster, created_at_s)
    own = began[cluster]
    return own > np.quantile(own, _EARLY)


def _logistic(x: np.ndarray, y: np.ndarray, card: AbuseModel) -> AbuseModel:
    """Fit a ridge regression shrunk towards the scorecard: few labels change it little, many a lot."""
    scale = np.maximum(x.std(axis=0), 0.05)
    by_card = card.linear(x) - card.intercept
    design = np.column_stack([x / scale, by_card / max(by_card.std(), 0.05) * _SCORECARD_SCALE])
    fitted = LogisticRegression(C=_INVERSE_RIDGE, max_iter=2_000, tol=1e-8).fit(design, y)
    *own, of_card = fitted.coef_[0]
    of_card *= _SCORECARD_SCALE / max(by_card.std(), 0.05)
    weights = np.array(own) / scale + of_card * card.linear(np.eye(len(EVIDENCE))) - of_card * card.intercept
    return AbuseModel(
        "logistic", float(fitted.intercept_[0]), dict(zip(EVIDENCE, weights.tolist(), strict=True)), card.population
    )


def _boosting() -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        max_iter=120,
        learning_rate=0.06,
        max_leaf_nodes=8,
        min_samples_leaf=15,
        l2_regularization=1.0,
        random_state=_SEED,
    )


def _calibration(log_odds: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return Platt's slope and shift on held-back log-odds, which calibrate scores as probabilities."""
    fitted = LogisticRegression(C=1e3, max_iter=1_000).fit(log_odds[:, None], y)
    return float(max(fitted.coef_[0, 0], 0.1)), float(fitted.intercept_[0])


def is_clearly_better(y: np.ndarray, one: np.ndarray, other: np.ndarray, cluster: np.ndarray) -> bool:
    """Return whether the average precision of `one` exceeds that of `other` by 0.01 in 95% of cluster resamples."""
    weights = list(cluster_weights(y, cluster, _RESAMPLES))
    above = average_precisions(y, one, weights) > average_precisions(y, other, weights) + _MARGIN
    return bool(above.mean() >= _CLEARLY)


def gate(training: Training, cluster: np.ndarray, before: Mapping[str, np.ndarray]) -> Verdict:
    """Return the promotion gate's verdict: the trained model must not be clearly worse than the models before it.

    before: their scores of the labelled accounts, by the name to show. The new model has not seen these accounts, the
    models before it may have. cluster: of the labelled accounts.
    """
    for name, scores in before.items():
        if is_clearly_better(training.is_abuser, scores, training.logistic, cluster):
            return Verdict(False, f"the new model is clearly worse than {name}")
    return Verdict(True, f"the new model is not clearly worse than {' and '.join(before)}")


@dataclass(frozen=True)
class Choice:
    """A training and the gate's verdict on it; without a training, why there is none.

    stays: the model that is active if the trained one is not: a trained one, else the scorecard of this population.
    """

    stays: AbuseModel
    training: Training | None
    verdict: Verdict

    @property
    def model(self) -> AbuseModel:
        """The trained model if it passes the gate, else the one that stays."""
        return self.training.model if self.training is not None and self.verdict.passes else self.stays


def choose_model(
    accounts: Accounts,
    label: np.ndarray,
    current: AbuseModel | None = None,
    *,
    rings: InjectedRings | None = None,
    policy: Policy | None = None,
    gathering: Gathering = gather,
) -> Choice:
    """Train on the labels and apply the promotion gate: to the labelled accounts, and to injected rings.

    current: the active model, if there is one. rings: made of the accounts, by default as `inject_rings` does. policy:
    by default the shipped one. gathering: where the evidence of the accounts is gathered.
    """
    population = Population.of(accounts)
    card = scorecard(population)
    matrix = gathering(accounts, population)
    stays = current if current is not None and current.kind != card.kind else card
    try:
        training = train(matrix.columns, label, matrix.component, accounts.created_at_s, population)
    except CannotTrainError as error:
        return Choice(stays, None, Verdict(False, str(error)))
    before = {"the scorecard": training.card}
    if stays is not card:
        before[stays.version] = stays.scores(gathering(accounts, stays.population).columns)[training.rows]
    verdict = gate(training, matrix.component[training.rows], before)
    if not verdict.passes:
        return Choice(stays, training, verdict)
    rings = inject_rings(accounts) if rings is None else rings
    caught = rings.caught({"new": training.model, "card": card}, policy or read_policy())
    of_rings = ring_verdict(caught["new"], caught["card"])
    why = f"{verdict.why}, and {of_rings.why}" if of_rings.passes else of_rings.why
    return Choice(stays, training, Verdict(of_rings.passes, why))
