"""Train a scoring model: the time split, the choice of the kind, and the promotion gate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # no stubs are installed

from quintet.lending.boosting import Boosted, fit_boosted
from quintet.lending.leaks import check_plausible
from quintet.lending.measures import Ranking, auc_gain, calibration_error, resamples
from quintet.lending.scorecard import Card, Columns, fit_card
from quintet.lending.scoring import INPUTS, Scored, ScoringModel
from quintet.ml.model_registry import Verdict

FEWEST_OF_A_CLASS = 50
"""Loans of each class, repaid and not, that training needs before and after the split."""

_EARLY = 0.7
_FOLDS = 5
_SEED = 0
_CLEARLY = 0.95
_WORTH_IT = 0.005
_MOST_CALIBRATION_ERROR = 0.05
_FEWEST_KNOWN = 100
_SEEN_ADVANTAGE = 0.03
"""The largest AUC gain that a model may owe to loans that it was trained on."""

_Fit = Callable[[Columns, np.ndarray], Card | Boosted]
_KINDS: dict[str, _Fit] = {"scorecard": fit_card, "boosted": fit_boosted}


class CannotTrainError(ValueError):
    """There is too little data to train a model; the message says what is missing. The active model stays."""


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    models: by kind, trained on all ended loans. early: the loans that had ended by `split_day`. tested: rows of the
    training set applied for after it, with is_default and by kind the probability of a model trained on `early` only.
    ended: all ended loans. chosen: the chosen kind. why: the reason for the choice.
    """

    models: dict[str, ScoringModel]
    early: pd.DataFrame
    tested: pd.DataFrame
    split_day: date
    chosen: str
    why: str
    ended: pd.DataFrame

    @property
    def model(self) -> ScoringModel:
        """The model of the chosen kind."""
        return self.models[self.chosen]


def train(training_set: pd.DataFrame) -> Trained:
    """Train both kinds of model on the applications with an outcome, and choose one.

    Raises CannotTrainError, and LeakError for an input that is implausibly good.
    """
    ended = training_set[training_set["outcome"].notna()].sort_values("application_id", ignore_index=True)
    ended = ended.assign(
        is_default=ended["outcome"].eq("overdue").to_numpy(dtype=bool),
        applied_on=pd.to_datetime(ended["applied_on"]),
        outcome_on=pd.to_datetime(ended["outcome_on"]),
    )
    if ended.empty:
        raise CannotTrainError("no loan has ended yet")
    split = pd.Timestamp(np.sort(ended["applied_on"].to_numpy())[int(_EARLY * (len(ended) - 1))])
    # A training on the split day could only have used loans that had ended by then.
    early, tested = ended[ended["outcome_on"] <= split], ended[ended["applied_on"] > split]
    for when, part in (("before", early), ("after", tested)):
        for what, rows in (("not repaid", part["is_default"].sum()), ("repaid", (~part["is_default"]).sum())):
            if rows < FEWEST_OF_A_CLASS:
                raise CannotTrainError(
                    f"{rows} loans {when} {split:%Y-%m-%d} were {what}; training needs {FEWEST_OF_A_CLASS}"
                )
    inputs = tuple(name for name in INPUTS if name in ended and _is_usable(early[name]) and _is_usable(ended[name]))
    if not inputs:
        raise CannotTrainError("no input has two values or more; check that the features are computed")
    check_plausible(columns_of(tested, inputs), tested["is_default"].to_numpy())
    # One thread: on busy cores, several wait for one another longer than they work.
    with threadpool_limits(limits=1):
        early_models = {kind: _calibrated(fit, early, inputs) for kind, fit in _KINDS.items()}
        models = {kind: _calibrated(fit, ended, inputs) for kind, fit in _KINDS.items()}
    tested = tested.assign(**{kind: _probabilities(model, tested) for kind, model in early_models.items()})
    chosen, why = _choose(tested)
    return Trained(
        models=models,
        early=early,
        tested=tested,
        split_day=split.date(),
        chosen=chosen,
        why=why,
        ended=ended,
    )


def gate(trained: Trained, current: ScoringModel | None, current_until: date | None = None) -> Verdict:
    """Return the promotion gate's verdict: whether a trained model may replace the active one, and why.

    Compares the two on loans that neither was trained on: the loans that ended after `current_until`. If that day is
    unknown or too few have ended since, all tested loans count, and the active model has to be better by more than
    having been trained on them may explain.
    """
    tested = trained.tested
    is_default, new = tested["is_default"].to_numpy(), tested[trained.chosen].to_numpy()
    ranking = Ranking(is_default, new)
    drawn = [ranking.auc(weight) for weight in resamples(is_default, tested["client_id"].to_numpy())]
    low = float(np.quantile(drawn, 0.025))
    if low <= 0.5:
        return Verdict(
            False, f"the trained model may be no better than chance: AUC {ranking.auc():.3f}, at least {low:.3f}"
        )
    error = calibration_error(is_default, new)
    if error > _MOST_CALIBRATION_ERROR:
        return Verdict(False, f"the trained model's probabilities are off by {error:.3f} on average")
    if current is None:
        return Verdict(True, trained.why)
    unseen = tested.head(0) if current_until is None else tested[tested["outcome_on"] > pd.Timestamp(current_until)]
    defaults = int(unseen["is_default"].sum())
    has_enough = min(defaults, len(unseen) - defaults) >= FEWEST_OF_A_CLASS
    held, advantage = (unseen, 0.0) if has_enough else (tested, _SEEN_ADVANTAGE)
    loss = auc_gain(
        held["is_default"].to_numpy(),
        _probabilities(current, held),
        held[trained.chosen].to_numpy(),
        held["client_id"].to_numpy(),
    )
    gain = f"AUC {-np.median(loss):+.4f} on {len(held):,} loans"
    if (loss > advantage).mean() >= _CLEARLY:
        return Verdict(False, f"the trained model is clearly worse than {current.version}: {gain}")
    return Verdict(True, f"{trained.why}; not clearly worse than {current.version}: {gain}")


def columns_of(rows: pd.DataFrame, inputs: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return the values of inputs by name."""
    return {name: rows[name].to_numpy(dtype=float, na_value=np.nan) for name in inputs}


def _is_usable(column: pd.Series) -> bool:
    return bool(column.notna().sum() >= _FEWEST_KNOWN and column.nunique() > 1)


def _choose(tested: pd.DataFrame) -> tuple[str, str]:
    """Choose the simpler kind, unless the other is significantly better and by enough to matter."""
    is_default, client = tested["is_default"].to_numpy(), tested["client_id"].to_numpy()
    gain = auc_gain(is_default, tested["boosted"].to_numpy(), tested["scorecard"].to_numpy(), client)
    low, high = np.quantile(gain, [0.025, 0.975])
    difference = f"boosting against the scorecard: AUC {np.median(gain):+.4f} ({low:+.4f} to {high:+.4f})"
    if (gain > _WORTH_IT).mean() >= _CLEARLY:
        return "boosted", f"boosting clearly wins; {difference}"
    return "scorecard", f"the simpler model stays; {difference}"


def _calibrated(fit: _Fit, rows: pd.DataFrame, inputs: tuple[str, ...]) -> ScoringModel:
    """Fit a model to rows and calibrate it on unseen folds; a client is never in two folds."""
    columns, is_default = columns_of(rows, inputs), rows["is_default"].to_numpy()
    unseen_log_odds = np.zeros(len(rows))
    _, client = np.unique(rows["client_id"].to_numpy(), return_inverse=True)
    fold = np.random.default_rng(_SEED).permutation(int(client.max()) + 1)[client] % _FOLDS
    for unseen in (fold == number for number in range(_FOLDS)):
        fitted = fit({name: column[~unseen] for name, column in columns.items()}, is_default[~unseen])
        unseen_log_odds[unseen] = fitted.log_odds({name: column[unseen] for name, column in columns.items()})
    platt = LogisticRegression(C=1e3, solver="newton-cholesky").fit(unseen_log_odds[:, None], is_default)
    slope = round(float(max(platt.coef_[0, 0], 0.1)), 9)
    return fit(columns, is_default).model(slope, round(float(platt.intercept_[0]), 9), columns)


def _probabilities(model: ScoringModel, rows: pd.DataFrame) -> np.ndarray:
    return np.array([scored.default_probability for scored in score_rows(model, rows)])


def score_rows(model: ScoringModel, rows: pd.DataFrame) -> list[Scored]:
    """Score each row with the code of the decision service; a missing column counts as null."""
    return [model.score(figures) for figures in figures_of(rows.reindex(columns=list(model.inputs)))]


def figures_of(rows: pd.DataFrame) -> Iterator[dict[str, float | None]]:
    """Yield each row as figures by name, as the decision service has them."""
    values = rows.astype(object)
    names = [str(name) for name in values.columns]
    columns = [values[name].where(values[name].notna(), None).tolist() for name in names]
    return (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))
