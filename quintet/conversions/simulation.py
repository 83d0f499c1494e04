"""Simulated rows, on which training measures its own bias and calibrates its probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression

from quintet.conversions.assign import one_to_one
from quintet.conversions.candidates import (
    UNKNOWN,
    Candidates,
    by_country,
    find_candidates,
)
from quintet.conversions.expectation import calibrated, inferred, settled
from quintet.conversions.matching_model import LagDensity, MatchingModel, PartnerModel

_LARGEST_CORRECTION = 2.0
UNCALIBRATED = ((0.0, 0.0), (1.0, 1.0))
_HOUR = 3_600


@dataclass(frozen=True)
class Simulation:
    """Rows drawn from a model over the real conversions. is_link: by candidate pair."""

    candidates: Candidates
    is_link: np.ndarray

    @classmethod
    def drawn(cls, model: MatchingModel, candidates: Candidates, seed: int) -> Simulation:
        """Draw rows from a model over the conversions of the candidates."""
        rows = _simulated_rows(model, candidates, np.random.default_rng(seed))
        found = find_candidates(replace(candidates.laid, rows=rows), model.horizon_seconds, model.any_country_seconds)
        return cls(found, rows["true_conversion"].to_numpy()[found.row] == found.conversion)


@dataclass(frozen=True)
class Correction:
    """The bias of training, measured on rows that are drawn from a model and trained on again.

    Belief propagation is overconfident: parameters trained with it have too short lags and too few links. By partner:
    the ratio of truth to estimate, for each bin of the lag and for the odds of the three rates.
    """

    lag: Mapping[str, np.ndarray]
    odds: Mapping[str, np.ndarray]

    @classmethod
    def measured(cls, model: MatchingModel, simulation: Simulation) -> Correction:
        """Measure the bias: train on rows that the model drew."""
        again = settled(model, simulation.candidates).partners
        pairs = {name: (partner, again[name]) for name, partner in model.partners.items()}
        return cls(
            {name: _bounded(np.array(one.lag.mass) / np.array(two.lag.mass)) for name, (one, two) in pairs.items()},
            {name: _bounded(_odds(one) / _odds(two)) for name, (one, two) in pairs.items()},
        )

    def of(self, model: MatchingModel) -> MatchingModel:
        """Return the model without the bias of training."""
        return replace(model, partners={name: self._of(name, each) for name, each in model.partners.items()})

    def _of(self, name: str, partner: PartnerModel) -> PartnerModel:
        mass = np.array(partner.lag.mass) * self.lag[name]
        odds = _odds(partner) * self.odds[name]
        conversion, burst, row = (odds / (1 + odds)).tolist()
        lag = LagDensity(partner.lag.edges_seconds, tuple((mass / mass.sum()).tolist()))
        return replace(partner, lag=lag, click_rate=conversion, burst_click_rate=burst, row_link_share=row)


def _odds(partner: PartnerModel) -> np.ndarray:
    rates = np.array([partner.click_rate, partner.burst_click_rate, partner.row_link_share])
    return rates / (1 - rates)


def _bounded(factor: np.ndarray) -> np.ndarray:
    return np.clip(factor, 1 / _LARGEST_CORRECTION, _LARGEST_CORRECTION)


@dataclass(frozen=True)
class Trial:
    """The candidate links of a simulation on which a model is calibrated; only those of the blocks themselves.

    Belief propagation on a graph with loops is overconfident, the more so the more both sides are linked, and the
    parameters overfit the rows that they were trained on. The model is therefore calibrated on a simulation: the real
    conversions, rows drawn from the model, and parameters retrained on them.
    """

    row: np.ndarray
    conversion: np.ndarray
    probability: np.ndarray
    is_link: np.ndarray

    @classmethod
    def of(cls, model: MatchingModel, candidates: Candidates, correction: Correction, seed: int) -> Trial:
        """Draw rows from a model, and train on them."""
        simulation = Simulation.drawn(model, candidates, seed)
        drawn = simulation.candidates
        probability = inferred(correction.of(settled(model, drawn)), drawn)
        kept = np.flatnonzero((probability > 0) & drawn.conversions["own"].to_numpy()[drawn.conversion] & drawn.agrees)
        return cls(drawn.row[kept], drawn.conversion[kept], probability[kept], simulation.is_link[kept])


def chosen_correction(model: MatchingModel, trials: Sequence[Trial]) -> float:
    """Return `MatchingModel.chosen_come_true`, measured on the trials."""
    expected = true = 0.0
    for trial in trials:
        probability = calibrated(model, trial.probability)
        likely = np.flatnonzero(probability > model.threshold)
        chosen = likely[one_to_one(trial.row[likely], trial.conversion[likely], probability[likely])]
        expected += float(probability[chosen].sum())
        true += float(trial.is_link[chosen].sum())
    return true / expected if expected else 1.0


def reliability(trials: Sequence[Trial]) -> tuple[tuple[float, float], ...]:
    """Return the observed frequency of each probability, increasing, in bins that are finer towards 0 and 1."""
    probability = np.concatenate([trial.probability for trial in trials])
    is_link = np.concatenate([trial.is_link for trial in trials])
    edges = np.r_[0, 1 / (1 + np.exp(-np.linspace(-6, 6, 31))), 1]
    place = np.clip(np.searchsorted(edges, probability, side="right") - 1, 0, len(edges) - 2)
    count = np.bincount(place, minlength=len(edges) - 1)
    filled = np.flatnonzero(count >= 20)
    if not len(filled):
        return UNCALIBRATED
    given = np.bincount(place, probability, minlength=len(count))[filled] / count[filled]
    true = np.bincount(place, is_link, minlength=len(count))[filled] / count[filled]
    rising = isotonic_regression(true, weights=count[filled]).x
    # Strictly increasing: calibration keeps the order of pairs.
    rising = 0.999 * rising + 0.001 * given
    inner = [(float(x), float(y)) for x, y in zip(given, rising, strict=True)]
    return ((0.0, 0.0), *inner, (1.0, max(1.0 if not inner else inner[-1][1], inner[-1][1])))


def _simulated_rows(model: MatchingModel, candidates: Candidates, rng: np.random.Generator) -> pd.DataFrame:
    """Return simulated rows without `place`, with `true_conversion`: the conversion's position, -1 for none."""
    conversions, rows = candidates.conversions, candidates.rows
    free, taken = np.ones(len(conversions), dtype=bool), np.zeros(len(conversions))
    in_burst = conversions["in_burst"].to_numpy()
    parts = []
    for number, (_, partner) in enumerate(sorted(model.partners.items())):
        rate = np.minimum(np.where(in_burst, partner.burst_click_rate, partner.click_rate) / partner.reach, 1)
        linked = np.flatnonzero(free & (rng.random(len(conversions)) < rate / np.maximum(1 - taken, rate)))
        free[linked] = False
        taken += rate
        lag = rng.choice(partner.lag.horizon_seconds, len(linked), p=partner.lag.per_second)
        of_partner = np.flatnonzero(rows["partner"].to_numpy() == number)
        alone = of_partner[rng.random(len(of_partner)) < 1 - min(partner.row_link_share / partner.reach, 1)]
        at_alone = rows["at_second"].to_numpy()[alone] + rng.integers(-_HOUR // 2, _HOUR // 2 + 1, len(alone))
        country = conversions["country"].to_numpy()[linked]
        everywhere = by_country(partner.country_share, 0)[:-1]
        unlinked = by_country(partner.unlinked_ip_share, 0)
        ip_alone = rng.choice(len(unlinked), len(alone), p=_distribution(unlinked))
        ip_alone[ip_alone == len(unlinked) - 1] = UNKNOWN
        ip = np.concatenate([_reported(country, partner.ip.m_same, partner.ip.m_missing, everywhere, rng), ip_alone])
        same, missing = partner.residency.u_same, partner.residency.u_missing
        residency = np.concatenate(
            [
                _reported(country, partner.residency.m_same, partner.residency.m_missing, everywhere, rng),
                _reported(ip_alone, same, missing, everywhere, rng),
            ]
        )
        at = np.concatenate([conversions["at_second"].to_numpy()[linked] + lag, at_alone])
        block = np.concatenate([conversions["block"].to_numpy()[linked], rows["block"].to_numpy()[alone]])
        true_conversion = np.concatenate([linked, np.full(len(alone), -1)])
        parts.append(
            pd.DataFrame(
                {"block": block, "at_second": at, "ip": ip, "residency": residency, "true_conversion": true_conversion}
            ).assign(
                partner=number,
                own=np.concatenate([conversions["own"].to_numpy()[linked], rows["own"].to_numpy()[alone]]),
            )
        )
    return pd.concat(parts).sort_values(
        ["block", "partner", "at_second", "ip", "residency", "true_conversion"], ignore_index=True
    )


def _reported(
    country: np.ndarray, same: float, missing: float, everywhere: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return the value that a field reports for each true country: the country, nothing, or any country."""
    draw = rng.random(len(country))
    other = rng.choice(len(everywhere), len(country), p=_distribution(everywhere))
    return np.where(draw < same, country, np.where(draw < same + missing, UNKNOWN, other))


def _distribution(shares: np.ndarray) -> np.ndarray:
    """Return the shares, scaled to a sum of one; equal ones where all are zero: no row has a country."""
    total = shares.sum()
    return shares / total if total > 0 else np.full(len(shares), 1 / len(shares))
