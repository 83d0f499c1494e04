"""Learning a scoring model: the time split, the choice between the kinds, and the gate."""

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

FEWEST_OF_A_CLASS = 50
"""Loans repaid, and loans not, before the split and after it; with fewer nothing is learnt."""

_EARLY = 0.7
_FOLDS = 5
_SEED = 0
_CLEARLY = 0.95
_WORTH_IT = 0.005
_MOST_CALIBRATION_ERROR = 0.05
_FEWEST_KNOWN = 100
_SEEN_ADVANTAGE = 0.03
"""AUC that a model may seem to be better on loans that it has learnt from."""

_Fit = Callable[[Columns, np.ndarray], Card | Boosted]
_KINDS: dict[str, _Fit] = {"scorecard": fit_card, "boosted": fit_boosted}


class CannotTrainError(ValueError):
    """There is too little to learn from; the text says of what. The model in force stays."""


@dataclass(frozen=True)
class Trained:
    """What was learnt.

    models: by kind, learnt from all loans that ended. tested: the loans applied for after `split_day`, with their rows
    of the training set, is_default, and by kind the probability by a model learnt only from loans that had ended by
    then. early: those loans; ended: all that ended. chosen: a kind, and why.
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
        """The chosen one."""
        return self.models[self.chosen]


def learn(training_set: pd.DataFrame) -> Trained:
    """Learn from the training set, a row an application; those without an outcome are left out.

    Raises CannotTrainError, and LeakError for an input that is too good to be true.
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
    # What had not ended by the split day could not have been learnt from on that day.
    early, tested = ended[ended["outcome_on"] <= split], ended[ended["applied_on"] > split]
    for when, part in (("before", early), ("after", tested)):
        for what, rows in (("not repaid", part["is_default"].sum()), ("repaid", (~part["is_default"]).sum())):
            if rows < FEWEST_OF_A_CLASS:
                raise CannotTrainError(
                    f"{rows} loans {when} {split:%Y-%m-%d} were {what}; {FEWEST_OF_A_CLASS} are needed to learn"
                )
    inputs = tuple(name for name in INPUTS if name in ended and _is_told(early[name]) and _is_told(ended[name]))
    if not inputs:
        raise CannotTrainError("no input has two values or more; are there features?")
    check_plausible(columns_of(tested, inputs), tested["is_default"].to_numpy())
    # One thread: several that share busy cores wait for one another longer than they work.
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


def may_replace(learned: Trained, current: ScoringModel | None, current_until: date | None = None) -> tuple[bool, str]:
    """The gate: whether what was learnt may replace the model in force, and why.

    The two are held against each other on loans that neither has learnt from: those that ended after `current_until`.
    Where that day is not known or too few have ended since, all tested loans count, and the model in force has to be
    better by more than having seen them may explain.
    """
    tested = learned.tested
    is_default, new = tested["is_default"].to_numpy(), tested[learned.chosen].to_numpy()
    ranking = Ranking(is_default, new)
    drawn = [ranking.auc(weight) for weight in resamples(is_default, tested["client_id"].to_numpy())]
    low = float(np.quantile(drawn, 0.025))
    if low <= 0.5:
        return False, f"what was learnt may be no better than chance: AUC {ranking.auc():.3f}, at least {low:.3f}"
    error = calibration_error(is_default, new)
    if error > _MOST_CALIBRATION_ERROR:
        return False, f"what was learnt tells probabilities that are off by {error:.3f} on average"
    if current is None:
        return True, learned.why
    unseen = tested.head(0) if current_until is None else tested[tested["outcome_on"] > pd.Timestamp(current_until)]
    defaults = int(unseen["is_default"].sum())
    has_enough = min(defaults, len(unseen) - defaults) >= FEWEST_OF_A_CLASS
    held, advantage = (unseen, 0.0) if has_enough else (tested, _SEEN_ADVANTAGE)
    loss = auc_gain(
        held["is_default"].to_numpy(),
        _probabilities(current, held),
        held[learned.chosen].to_numpy(),
        held["client_id"].to_numpy(),
    )
    told = f"AUC {-np.median(loss):+.4f} on {len(held):,} loans"
    if (loss > advantage).mean() >= _CLEARLY:
        return False, f"what was learnt is clearly worse than {current.version}: {told}"
    return True, f"{learned.why}; not clearly worse than {current.version}: {told}"


def columns_of(rows: pd.DataFrame, inputs: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The values of inputs by name."""
    return {name: rows[name].to_numpy(dtype=float, na_value=np.nan) for name in inputs}


def _is_told(column: pd.Series) -> bool:
    return bool(column.notna().sum() >= _FEWEST_KNOWN and column.nunique() > 1)


def _choose(tested: pd.DataFrame) -> tuple[str, str]:
    """The simpler kind, unless the other is better beyond chance, and by enough to be worth it."""
    is_default, client = tested["is_default"].to_numpy(), tested["client_id"].to_numpy()
    gain = auc_gain(is_default, tested["boosted"].to_numpy(), tested["scorecard"].to_numpy(), client)
    low, high = np.quantile(gain, [0.025, 0.975])
    difference = f"boosting against the scorecard: AUC {np.median(gain):+.4f} ({low:+.4f} to {high:+.4f})"
    if (gain > _WORTH_IT).mean() >= _CLEARLY:
        return "boosted", f"boosting clearly wins; {difference}"
    return "scorecard", f"the simpler model stays; {difference}"


def _calibrated(fit: _Fit, rows: pd.DataFrame, inputs: tuple[str, ...]) -> ScoringModel:
    """A model fitted to rows, calibrated on folds that it had not seen; clients are never split between folds."""
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
    """What a model says of each row, by the code that the decision service runs; a column that is absent is null."""
    return [model.score(figures) for figures in figures_of(rows.reindex(columns=list(model.inputs)))]


def figures_of(rows: pd.DataFrame) -> Iterator[dict[str, float | None]]:
    """Each row as figures by name, as the decision service has them."""
    told = rows.astype(object)
    names = [str(name) for name in told.columns]
    columns = [told[name].where(told[name].notna(), None).tolist() for name in names]
    return (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))
